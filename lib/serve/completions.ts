import type { FinishReason } from "../generation/generation.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { AnswerForm, Usage } from "./answer.js";
import type { ChoicePart } from "./choices.js";
import { type CompletionLogprobs, CompletionLogprobsWriter } from "./completion-logprobs.js";
import type { GenerationRequest } from "./completion-request.js";
import type { TokenTexts } from "./token-texts.js";

/** OpenAI's names. */
export const finishReasons = { length: "length", stop: "stop", "end-of-text": "stop" } as const satisfies Record<
  FinishReason,
  string
>;

interface CompletionChoice {
  text: string;
  index: number;
  logprobs: CompletionLogprobs | null;
  finish_reason: string | null;
}

/** Appends the log-probabilities of a part to those of the parts before it. */
function append(to: CompletionLogprobs, { tokens, token_logprobs, top_logprobs, text_offset }: CompletionLogprobs) {
  to.tokens.push(...tokens);
  to.token_logprobs.push(...token_logprobs);
  to.top_logprobs?.push(...(top_logprobs ?? []));
  to.text_offset.push(...text_offset);
}

/** Writes answers of /v1/completions in OpenAI's form. */
export class CompletionForm implements AnswerForm {
  readonly idPrefix = "cmpl";
  readonly #writers = new Map<number, CompletionLogprobsWriter>();

  constructor(
    private readonly request: GenerationRequest,
    private readonly tokenizer: Tokenizer,
    private readonly tokenTexts: TokenTexts,
  ) {}

  #choice(part: ChoicePart): CompletionChoice {
    const { index, text, finishReason } = part;
    const finish_reason = finishReason === undefined ? null : finishReasons[finishReason];
    return { text, index, logprobs: this.#logprobs(part), finish_reason };
  }

  #logprobs(part: ChoicePart): CompletionLogprobs | null {
    if (this.request.logprobs === undefined) return null;
    let writer = this.#writers.get(part.index);
    if (!writer) {
      writer = new CompletionLogprobsWriter(this.tokenizer, this.tokenTexts, this.request.logprobs);
      this.#writers.set(part.index, writer);
    }
    return writer.write(part);
  }

  chunk(part: ChoicePart): object | undefined {
    const { text, finishReason } = part;
    if (text === "" && finishReason === undefined && this.request.logprobs === undefined) return undefined;
    return { object: "text_completion", choices: [this.#choice(part)] };
  }

  usageChunk(usage: Usage): object {
    return { object: "text_completion", choices: [], usage };
  }

  async answer(parts: AsyncIterable<ChoicePart>): Promise<object> {
    const choices = new Map<number, CompletionChoice>();
    for await (const part of parts) {
      const choice = this.#choice(part);
      const before = choices.get(part.index);
      if (!before) {
        choices.set(part.index, choice);
        continue;
      }
      before.text += choice.text;
      before.finish_reason = choice.finish_reason;
      if (before.logprobs && choice.logprobs) append(before.logprobs, choice.logprobs);
    }
    return { object: "text_completion", choices: [...choices.values()].sort((a, b) => a.index - b.index) };
  }
}
