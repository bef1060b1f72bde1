import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { AnswerForm, Usage } from "./answer.js";
import type { ChoicePart, ChoiceToken } from "./choices.js";
import type { GenerationRequest } from "./completion-request.js";
import { finishReasons } from "./completions.js";
import type { TokenTexts } from "./token-texts.js";

/** A token in OpenAI's form for chats. */
interface ChatToken {
  token: string;
  logprob: number;
  bytes: number[];
}

interface ChatLogprobs {
  content: (ChatToken & { top_logprobs: ChatToken[] })[];
}

interface ChatChoice {
  index: number;
  message: { role: "assistant"; content: string };
  logprobs: ChatLogprobs | null;
  finish_reason: string | null;
}

/** Writes answers of /v1/chat/completions in OpenAI's form. */
export class ChatForm implements AnswerForm {
  readonly idPrefix = "chatcmpl";
  /** The choices whose first event was written. */
  readonly #begun = new Set<number>();

  constructor(
    private readonly request: GenerationRequest,
    private readonly tokenizer: Tokenizer,
    private readonly tokenTexts: TokenTexts,
  ) {}

  #token(token: number, logprob: number): ChatToken {
    return { token: this.tokenTexts.of(token), logprob, bytes: [...this.tokenizer.bytesOf(token)] };
  }

  #logprobs(tokens: readonly ChoiceToken[]): ChatLogprobs | null {
    if (this.request.logprobs === undefined) return null;
    const content = tokens.map(({ token, logProbability, top }) => ({
      ...this.#token(token, logProbability as number),
      top_logprobs: top.map((one) => this.#token(one.token, one.logProbability)),
    }));
    return { content };
  }

  #finishReason({ finishReason }: ChoicePart): string | null {
    return finishReason === undefined ? null : finishReasons[finishReason];
  }

  chunk(part: ChoicePart): object | undefined {
    const { index, text, tokens, finishReason } = part;
    const first = !this.#begun.has(index);
    this.#begun.add(index);
    if (!first && text === "" && finishReason === undefined && this.request.logprobs === undefined) return undefined;
    const delta = { ...(first && { role: "assistant" }), content: text };
    const choice = { index, delta, logprobs: this.#logprobs(tokens), finish_reason: this.#finishReason(part) };
    return { object: "chat.completion.chunk", choices: [choice] };
  }

  usageChunk(usage: Usage): object {
    return { object: "chat.completion.chunk", choices: [], usage };
  }

  async answer(parts: AsyncIterable<ChoicePart>): Promise<object> {
    const choices = new Map<number, ChatChoice>();
    for await (const part of parts) {
      const { index, text, tokens } = part;
      const logprobs = this.#logprobs(tokens);
      const before = choices.get(index);
      if (before) {
        before.message.content += text;
        before.finish_reason = this.#finishReason(part);
        before.logprobs?.content.push(...(logprobs?.content ?? []));
        continue;
      }
      const message = { role: "assistant" as const, content: text };
      choices.set(index, { index, message, logprobs, finish_reason: this.#finishReason(part) });
    }
    return { object: "chat.completion", choices: [...choices.values()].sort((a, b) => a.index - b.index) };
  }
}
