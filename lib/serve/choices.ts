import type { FinishReason, GenerationPiece } from "../generation/generation.js";
import type { TokenLogProbability } from "../generation/token-log-probability.js";
import type { LogProbabilities } from "../scoring/log-probabilities.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { GenerationRequest } from "./completion-request.js";
import { merge } from "./merge.js";
import type { Prompt } from "./prompts.js";
import type { ServedModel } from "./served-model.js";

/** A token of a choice. */
export interface ChoiceToken {
  token: number;
  /** Null for the first token of a prompt. */
  logProbability: number | null;
  top: readonly TokenLogProbability[];
}

/** The next part of a choice: its prompt or a generated token. */
export interface ChoicePart {
  /** The number of the choice: that of its prompt times `n`, plus its number among those of the prompt. */
  index: number;
  text: string;
  tokens: ChoiceToken[];
  /** Whether the tokens were generated. */
  generated: boolean;
  /** Only in the last part of a choice. */
  finishReason?: FinishReason;
}

function promptPart({ text }: Prompt, scores: LogProbabilities | undefined): Omit<ChoicePart, "index"> {
  const tokens = scores?.tokens.map((token, position) => ({
    token,
    logProbability: scores.logProbabilities[position] as number | null,
    top: scores.topLogProbabilities?.[position] ?? [],
  }));
  return { text, tokens: tokens ?? [], generated: false };
}

/** Returns the one token that greedy decoding gives after a prompt, from the prompt's own forward pass. */
function nextToken(model: ServedModel, { next }: LogProbabilities, ranks: number): GenerationPiece {
  const [{ token, logProbability }] = next as [TokenLogProbability];
  const ends = model.config.endTokens.includes(token);
  const text = ends ? "" : (model.tokenizer as Tokenizer).decode([token]);
  const finishReason = ends ? "end-of-text" : "length";
  return { token, text, logProbability, topLogProbabilities: next.slice(0, ranks), finishReason };
}

/** Returns a seed for each choice of a prompt. Choices with one seed would be equal. */
const seedOf = (seed: number, choice: number) => (seed + choice) % Number.MAX_SAFE_INTEGER;

/** Generates the choices of one request. The parts of each come in order. */
export class Choices {
  constructor(
    private readonly model: ServedModel,
    private readonly request: GenerationRequest,
    private readonly signal: AbortSignal,
  ) {}

  /** Yields the parts of all choices as they are computed. Throws the signal's reason if it is aborted. */
  parts(prompts: readonly Prompt[]): AsyncGenerator<ChoicePart, void, void> {
    const { n } = this.request;
    return merge(
      prompts.flatMap((prompt, place) => {
        const scores = this.#scored() ? this.#score(prompt) : Promise.resolve(undefined);
        // Each choice awaits the promise later. Without this, a rejection before that ends the process.
        scores.catch(() => {});
        return Array.from({ length: n }, (_, choice) => this.#choice(prompt, place * n + choice, choice, scores));
      }),
    );
  }

  #scored(): boolean {
    return this.request.echo && this.request.logprobs !== undefined;
  }

  #score({ row }: Prompt): Promise<LogProbabilities> {
    const { bypass, logprobs = 0 } = this.request;
    const { signal } = this;
    return this.model.logProbabilities(row, { topLogProbabilities: logprobs, ...(bypass && { bypass }), signal });
  }

  async *#choice(
    prompt: Prompt,
    index: number,
    choice: number,
    scored: Promise<LogProbabilities | undefined>,
  ): AsyncGenerator<ChoicePart, void, void> {
    const { echo, maxTokens } = this.request;
    const scores = await scored;
    if (echo) {
      yield { index, ...promptPart(prompt, scores), ...(maxTokens === 0 && { finishReason: "length" as const }) };
    }
    if (maxTokens === 0) return;
    for await (const piece of this.#pieces(prompt, choice, scores)) {
      const { token, text = "", logProbability, topLogProbabilities: top = [], finishReason } = piece;
      const tokens = [{ token, logProbability, top }];
      yield { index, text, tokens, generated: true, ...(finishReason && { finishReason }) };
    }
  }

  async *#pieces(
    prompt: Prompt,
    choice: number,
    scores: LogProbabilities | undefined,
  ): AsyncGenerator<GenerationPiece, void, void> {
    const { bypass, logprobs = 0, maxTokens, sampling, seed } = this.request;
    const { signal } = this;
    if (scores && maxTokens === 1 && sampling.temperature === 0 && sampling.stop.length === 0) {
      yield nextToken(this.model, scores, logprobs);
      return;
    }
    yield* this.model.stream(prompt.row, {
      ...sampling,
      maxNewTokens: maxTokens,
      topLogProbabilities: logprobs,
      ...(seed !== undefined && { seed: seedOf(seed, choice) }),
      ...(bypass && { bypass }),
      signal,
    });
  }
}
