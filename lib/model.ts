import { inspect } from "node:util";
import { type BenchmarkOptions, type BenchmarkResult, benchmark } from "./benchmark/benchmark.js";
import type { Task } from "./benchmark/task.js";
import { benchmarkText } from "./benchmark/text.js";
import type { Samples } from "./data/samples.js";
import type { TextFile } from "./data/text-argument.js";
import { withText } from "./display/text-form.js";
import type { ModelConfig } from "./families/config.js";
import type { Dtype } from "./families/dtype.js";
import {
  type Generation,
  type GenerationOptions,
  type GenerationPiece,
  generate,
  prepareStream,
} from "./generation/generation.js";
import { type AttentionOptions, type AttentionSurvey, surveyAttention } from "./measure/attention.js";
import { type Divergence, type DivergenceOptions, divergence } from "./measure/divergence.js";
import { attentionText, divergenceText } from "./measure/text.js";
import {
  type MemorizationMetric,
  type MemorizationOptions,
  type MemorizationResult,
  scoreMemorization,
} from "./metrics/memorization.js";
import { type Perplexity, type PerplexityOptions, perplexity } from "./metrics/perplexity.js";
import { memorizationText } from "./metrics/text.js";
import { type Logits, type LogitsOptions, logits } from "./scoring/logits.js";
import { Gate, type Reader, type Session } from "./session/session.js";
import type { SweepOptions } from "./sweep/options.js";
import type { SweepResult } from "./sweep/result.js";
import { sweep } from "./sweep/sweep.js";
import { sweepText } from "./sweep/text.js";
import type { Tokenizer } from "./tokenizer/tokenizer.js";
import type { Tokens } from "./tokenizer/tokens.js";

/**
 * A loaded model. Work on one model runs in the order in which it was asked for, on a thread of its own; models run
 * side by side. Nothing that a call does is left over for the next one. Any call may throw INVALID_ARGUMENT, OUT_OF_MEMORY,
 * LIBTORCH_FAILED and, after `dispose`, DISPOSED.
 */
export class Model {
  /** Its shape. */
  readonly config: ModelConfig;
  /** What the model runs on: "cpu" or "cuda:N". */
  readonly device: string;
  /** Why it runs there, such as "no CUDA device can be used: this libtorch is built without CUDA". */
  readonly deviceReason: string;
  /** What its weights are in, whatever the files hold. */
  readonly dtype: Dtype;
  /** Undefined where none was found; token ids work all the same. */
  readonly tokenizer: Tokenizer | undefined;

  /** What was left out of the files, such as the head of a value model; one sentence each. */
  readonly notices: readonly string[];

  readonly #session: Session;
  readonly #gate = new Gate();
  #disposed: Promise<void> | undefined;

  /** @internal Use `loadModel`. */
  constructor(session: Session) {
    this.#session = session;
    this.config = session.config;
    this.tokenizer = session.tokenizer;
    this.device = session.device;
    this.deviceReason = session.deviceReason;
    this.dtype = session.dtype;
    this.notices = Object.freeze([...session.notices]);
  }

  /**
   * The logits of the next token at every position, of one row or several. Throws TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING,
   * CONTEXT_TOO_LONG and those of `Bypass`.
   */
  logits(tokens: string | Tokens | readonly (string | Tokens)[], options?: LogitsOptions): Promise<Logits> {
    return this.#gate.enter(() => logits(this.#session, tokens, options));
  }

  /**
   * Generates after a prompt, or after several, of any lengths, in one batch: each gives what it gives alone.
   * Throws TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING, CONTEXT_TOO_LONG and those of `Bypass`.
   */
  generate(prompts: readonly (string | Tokens)[], options?: GenerationOptions): Promise<Generation[]>;
  generate(prompt: string | Tokens, options?: GenerationOptions): Promise<Generation>;
  generate(
    given: string | Tokens | readonly (string | Tokens)[],
    options: GenerationOptions = {},
  ): Promise<Generation | Generation[]> {
    return this.#gate.enter(() => generate(this.#session, given, options));
  }

  /**
   * Generates from a prompt and yields a piece for each token. Ending the loop ends the work. Throws at the call what
   * `generate` throws, except what encoding text shows, CONTEXT_TOO_LONG, which the first piece throws.
   */
  stream(prompt: string | Tokens, options: GenerationOptions = {}): AsyncGenerator<GenerationPiece, void, void> {
    this.#gate.requireOpen();
    return this.#read(prepareStream(this.#session, prompt, options));
  }

  /** A stream counts as a reader from its first piece on: one that nobody reads holds up nothing. */
  async *#read(start: (reader: Reader) => AsyncGenerator<GenerationPiece, void, void>) {
    const reader = this.#gate.admit();
    try {
      yield* start(reader);
    } finally {
      reader.leave();
    }
  }

  /**
   * How well the model predicts a text: itself, its token ids, or `{ file }` with the path of a text file in UTF-8 or of
   * a folder with some. Throws FILE_NOT_FOUND, SAMPLES_INVALID, TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING and those of
   * `Bypass`.
   */
  perplexity(text: string | Tokens | TextFile, options?: PerplexityOptions): Promise<Perplexity> {
    return this.#gate.enter(() => perplexity(this.#session, text, options));
  }

  /**
   * How far the model has memorized samples: rows of tokens, the path of a file, or two of prefixes and suffixes. Throws
   * FILE_NOT_FOUND, SAMPLES_INVALID, PREFIX_TOO_LONG, TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING, CONTEXT_TOO_LONG and those
   * of `Bypass`.
   */
  scoreMemorization<Metric extends MemorizationMetric = MemorizationMetric>(
    samples: Samples,
    options?: MemorizationOptions<Metric>,
  ): Promise<MemorizationResult<Metric>> {
    return this.#gate.enter(async () =>
      withText(await scoreMemorization(this.#session, samples, options), memorizationText),
    );
  }

  /**
   * Measures memorization, perplexity and tasks with no bypass and with each of many, such as each block in turn, in
   * one walk through the blocks. Each gives what `scoreMemorization`, `perplexity` and `benchmark` give for it alone.
   * Throws what these throw, RESUME_FILE_INVALID, RESUME_FILE_MISMATCH and WRITE_FAILED.
   */
  sweep<Metric extends MemorizationMetric = MemorizationMetric>(
    options: SweepOptions<Metric>,
  ): Promise<SweepResult<Metric>> {
    return this.#gate.enter(async () => withText(await sweep(this.#session, options), sweepText));
  }

  /**
   * How well the model does at tasks, as the lm-evaluation-harness measures it: tasks by name (`benchmarkNames`, or the
   * path of a definition) with `options.data`, tasks with their own data, or questions of one's own. Throws TASK_INVALID,
   * FILE_NOT_FOUND, TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING, CONTEXT_TOO_LONG and those of `Bypass`.
   */
  benchmark(tasks: string | Task | readonly (string | Task)[], options?: BenchmarkOptions): Promise<BenchmarkResult> {
    return this.#gate.enter(async () => withText(await benchmark(this.#session, tasks, options), benchmarkText));
  }

  /**
   * How far a bypass takes the model from itself on a row of tokens, measured and proven. In float64. Throws
   * TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING, CONTEXT_TOO_LONG and those of `Bypass`.
   */
  divergence(tokens: string | Tokens, options: DivergenceOptions): Promise<Divergence> {
    return this.#gate.enter(async () => withText(await divergence(this.#session, tokens, options), divergenceText));
  }

  /**
   * What each block's attention and each head adds to the residual stream, and what it mixes on average. Throws what
   * `scoreMemorization` throws.
   */
  attention(samples: Samples, options?: AttentionOptions): Promise<AttentionSurvey> {
    return this.#gate.enter(async () =>
      withText(await surveyAttention(this.#session, samples, options), attentionText),
    );
  }

  /**
   * Frees the weights after the calls that are at work. A stream that is being read runs to its end; one whose next piece
   * nobody asks for within 5 seconds is ended, and throws DISPOSED. Calls that come later throw DISPOSED. Safe to call
   * again.
   */
  dispose(): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    const { native, float32, float64, generations } = this.#session;
    await this.#gate.close();
    await generations.close();
    await Promise.all([float32.close(), float64.close()]);
    await native.close();
  }

  /** What `await using` calls: `dispose`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** @internal */
  [inspect.custom](): string {
    const { family, blockCount, hiddenSize, vocabularySize } = this.config;
    const state = `${this.#session.unchecked ? ", unchecked" : ""}${this.#gate.open ? "" : ", disposed of"}`;
    return `Model { ${family}, ${blockCount} blocks, ${hiddenSize} wide, ${vocabularySize} tokens, ${this.dtype} on ${this.device}${state} }`;
  }
}
