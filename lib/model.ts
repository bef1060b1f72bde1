import { inspect } from "node:util";
import { type BenchmarkOptions, type BenchmarkResult, benchmark } from "./benchmark/benchmark.js";
import type { Task } from "./benchmark/task.js";
import { benchmarkText } from "./benchmark/text.js";
import type { Samples } from "./data/samples.js";
import type { TextFile } from "./data/text-argument.js";
import { withText } from "./display/text-form.js";
import { effects } from "./effects/effects.js";
import type { EffectsOptions } from "./effects/options.js";
import type { EffectsResult } from "./effects/result.js";
import { effectsText } from "./effects/text.js";
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
import { type MemorizationOptions, type MemorizationResult, scoreMemorization } from "./metrics/memorization.js";
import type { DefaultMemorizationMetric, MemorizationMetric } from "./metrics/memorization-scores.js";
import { type Perplexity, type PerplexityOptions, perplexity } from "./metrics/perplexity.js";
import { memorizationText } from "./metrics/text.js";
import type { ScanDocuments } from "./scan/documents.js";
import type { ScanOptions } from "./scan/options.js";
import type { ScanResult } from "./scan/result.js";
import { scan } from "./scan/scan.js";
import { scanText } from "./scan/text.js";
import { type LogProbabilities, type LogProbabilitiesOptions, logProbabilities } from "./scoring/log-probabilities.js";
import { type Logits, type LogitsOptions, logits } from "./scoring/logits.js";
import { Gate, type Reader } from "./session/gate.js";
import type { Session } from "./session/session.js";
import type { SweepOptions } from "./sweep/options.js";
import type { SweepResult } from "./sweep/result.js";
import { sweep } from "./sweep/sweep.js";
import { sweepText } from "./sweep/text.js";
import type { Tokenizer } from "./tokenizer/tokenizer.js";
import type { Tokens } from "./tokenizer/tokens.js";

/**
 * A loaded model. Each model has its own thread, which runs the calls in the order in which they were made; different
 * models run in parallel. Calls are independent: a bypass applies only to the call that passes it. Any call may throw
 * INVALID_ARGUMENT, OUT_OF_MEMORY, DEVICE_LOST, LIBTORCH_FAILED and, after `dispose`, DISPOSED.
 */
export class Model {
  /** The model's architecture and sizes. */
  readonly config: ModelConfig;
  /** The device that the model runs on: "cpu" or "cuda:N". */
  readonly device: string;
  /**
   * Why the model runs on this device, such as "no CUDA device can be used: this libtorch is built without CUDA", and
   * in which dtype it computes if that is not `dtype`.
   */
  readonly deviceReason: string;
  /** The dtype of the loaded weights, which may differ from that of the files. */
  readonly dtype: Dtype;
  /** The tokenizer. Undefined if none was found; calls then accept only token ids. */
  readonly tokenizer: Tokenizer | undefined;

  /**
   * What was not loaded from the files, such as the head of a value model, and the bypasses that `convert` wrote into the
   * weights, one sentence each.
   */
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
   * Returns the logits of the next token at every position of one row or several. Throws TOKEN_OUT_OF_RANGE,
   * TOKENIZER_MISSING, CONTEXT_TOO_LONG and the codes of `Bypass`.
   */
  logits(tokens: string | Tokens | readonly (string | Tokens)[], options?: LogitsOptions): Promise<Logits> {
    return this.#gate.enter(() => logits(this.#session, tokens, options));
  }

  /**
   * Returns the log-probability of each token of one row or several, given the tokens before it, and the most probable
   * tokens at each position. Takes little memory for rows of any length. Calls that run at the same time are scored
   * together. Throws TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING, CONTEXT_TOO_LONG, NOT_FINITE and the codes of `Bypass`.
   */
  logProbabilities(rows: readonly (string | Tokens)[], options?: LogProbabilitiesOptions): Promise<LogProbabilities[]>;
  logProbabilities(row: string | Tokens, options?: LogProbabilitiesOptions): Promise<LogProbabilities>;
  logProbabilities(
    tokens: string | Tokens | readonly (string | Tokens)[],
    options?: LogProbabilitiesOptions,
  ): Promise<LogProbabilities | LogProbabilities[]> {
    return this.#gate.enter(() => logProbabilities(this.#session, tokens, options));
  }

  /**
   * Generates from one prompt, or from several of any lengths in one batch. A prompt in a batch generates the same as
   * by itself. Throws TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING, CONTEXT_TOO_LONG and the codes of `Bypass`.
   */
  generate(prompts: readonly (string | Tokens)[], options?: GenerationOptions): Promise<Generation[]>;
  generate(prompt: string | Tokens, options?: GenerationOptions): Promise<Generation>;
  generate(
    prompts: string | Tokens | readonly (string | Tokens)[],
    options: GenerationOptions = {},
  ): Promise<Generation | Generation[]> {
    return this.#gate.enter(() => generate(this.#session, prompts, options));
  }

  /**
   * Generates from a prompt and yields a piece for each token. Leaving the loop ends the generation. Throws what
   * `generate` throws, at the call; only CONTEXT_TOO_LONG for a prompt in text is thrown at the first piece, since text
   * is encoded then.
   */
  stream(prompt: string | Tokens, options: GenerationOptions = {}): AsyncGenerator<GenerationPiece, void, void> {
    this.#gate.requireOpen();
    return this.#read(prepareStream(this.#session, prompt, options));
  }

  /** A stream becomes a reader at its first piece, so that `dispose` does not wait for a stream that is never read. */
  async *#read(start: (reader: Reader) => AsyncGenerator<GenerationPiece, void, void>) {
    const reader = this.#gate.admit();
    try {
      yield* start(reader);
    } finally {
      reader.leave();
    }
  }

  /**
   * Measures the perplexity of a text: a string, its token ids, or `{ file }` with the path of a UTF-8 text file or of
   * a folder of such files. Throws FILE_NOT_FOUND, SAMPLES_INVALID, TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING and the codes
   * of `Bypass`.
   */
  perplexity(text: string | Tokens | TextFile, options?: PerplexityOptions): Promise<Perplexity> {
    return this.#gate.enter(() => perplexity(this.#session, text, options));
  }

  /**
   * Measures how far the model has memorized samples: rows of tokens, the path of a file with rows, or the paths of a
   * file with prefixes and one with suffixes. Throws FILE_NOT_FOUND, SAMPLES_INVALID, PREFIX_TOO_LONG,
   * TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING, CONTEXT_TOO_LONG and the codes of `Bypass`.
   */
  scoreMemorization<Metric extends MemorizationMetric = DefaultMemorizationMetric>(
    samples: Samples,
    options?: MemorizationOptions<Metric>,
  ): Promise<MemorizationResult<Metric>> {
    return this.#gate.enter(async () =>
      withText(await scoreMemorization(this.#session, samples, options), memorizationText),
    );
  }

  /**
   * Measures memorization, perplexity and tasks without a bypass and with each of many bypasses, for example one
   * for each block.
   * All bypasses share one forward pass for each batch. The measurements equal those of `scoreMemorization`,
   * `perplexity` and `benchmark` for each bypass. Throws what these throw, RESUME_FILE_INVALID, RESUME_FILE_MISMATCH
   * and WRITE_FAILED.
   */
  sweep<Metric extends MemorizationMetric = DefaultMemorizationMetric>(
    options: SweepOptions<Metric>,
  ): Promise<SweepResult<Metric>> {
    return this.#gate.enter(async () => withText(await sweep(this.#session, options), sweepText));
  }

  /**
   * Scans documents for text that the model has memorized. Windows of `prefixLength` + `suffixLength` tokens slide over each
   * document. The suffix of each window is scored given its prefix, without a bypass and with each of `bypasses`, in one
   * forward pass. Windows whose extraction probability is at least `threshold` are merged into passages. Documents are
   * read in parts, so their length is not limited by memory. Throws INVALID_ARGUMENT if no document is as long as a
   * window, FILE_NOT_FOUND, SAMPLES_INVALID, TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING, TOKENIZER_INVALID,
   * CONTEXT_TOO_LONG, RESUME_FILE_INVALID, RESUME_FILE_MISMATCH, WRITE_FAILED and the codes of `Bypass`.
   */
  scan(documents: ScanDocuments, options?: ScanOptions): Promise<ScanResult> {
    return this.#gate.enter(async () => withText(await scan(this.#session, documents, options), scanText));
  }

  /**
   * Scores the model on tasks, with the metrics of the lm-evaluation-harness. A task is a name of `benchmarkNames` or
   * the path of a definition, with `options.data`; a definition with its own data; or a list of questions. Throws
   * TASK_INVALID, FILE_NOT_FOUND, TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING, CONTEXT_TOO_LONG and the codes of `Bypass`.
   */
  benchmark(tasks: string | Task | readonly (string | Task)[], options?: BenchmarkOptions): Promise<BenchmarkResult> {
    return this.#gate.enter(async () => withText(await benchmark(this.#session, tasks, options), benchmarkText));
  }

  /**
   * Measures how much a bypass changes the residual stream and the next-token distribution on a row of tokens, with
   * proven upper bounds, in float64. Throws BOUND_UNPROVEN, TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING, CONTEXT_TOO_LONG and
   * the codes of `Bypass`.
   */
  divergence(tokens: string | Tokens, options: DivergenceOptions): Promise<Divergence> {
    return this.#gate.enter(async () => withText(await divergence(this.#session, tokens, options), divergenceText));
  }

  /**
   * Measures the total and the direct effect of one bypass or of several on the suffixes of samples, and how the direct
   * contribution of each attention and MLP to the logits of the true tokens changes: which parts compensate for the
   * bypass. All bypasses share one forward pass for each batch. docs/effects.md defines the numbers. Throws what
   * `scoreMemorization` throws.
   */
  effects(samples: Samples, options?: EffectsOptions): Promise<EffectsResult> {
    return this.#gate.enter(async () => withText(await effects(this.#session, samples, options), effectsText));
  }

  /**
   * Measures the norms of the attention outputs of each block and head, relative to the residual stream, and the mean
   * outputs for mean bypasses. Throws what `scoreMemorization` throws.
   */
  attention(samples: Samples, options?: AttentionOptions): Promise<AttentionSurvey> {
    return this.#gate.enter(async () =>
      withText(await surveyAttention(this.#session, samples, options), attentionText),
    );
  }

  /**
   * Waits for running calls, then frees the weights. New calls throw DISPOSED. A stream that is being read runs to its
   * end; a stream whose next piece is not requested within 5 seconds ends and throws DISPOSED. May be called more than
   * once.
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

  /** Calls `dispose`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** @internal */
  [inspect.custom](): string {
    const { family, blockCount, hiddenSize, vocabularySize } = this.config;
    const { unchecked, writtenBypasses } = this.#session;
    const bypasses = writtenBypasses.map((name) => `, bypass of ${name} in the weights`).join("");
    const state = `${bypasses}${unchecked ? ", unchecked" : ""}${this.#gate.open ? "" : ", disposed of"}`;
    return `Model { ${family}, ${blockCount} blocks, ${hiddenSize} wide, ${vocabularySize} tokens, ${this.dtype} on ${this.device}${state} }`;
  }
}
