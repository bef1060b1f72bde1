import { setImmediate } from "node:timers/promises";
import type { Addon, NativeModel, NativePlan, NativeScores, NativeScoringRows } from "../addon/native.js";
import { fromNative } from "../errors/errors.js";
import { onAbort } from "../operation/abort.js";
import { toNativeRows } from "../tokenizer/tokens.js";
import { defaultMemory } from "./memory-budget.js";

/**
 * The maximum number of tokens in a batch, with padding. Generations that run at the same time wait for a batch, so on
 * the CPU it takes about a second with a model of 160 million weights.
 */
const maxTokens = { cpu: 512, device: 16_384 };
/** The maximum number of tokens of a padded batch for each token that is not padding. */
const maxPadding = 1.125;

/** What the addon returns for the tokens of one row from the second one on. */
export type TokenScores = Pick<NativeScores, "logLikelihood" | "topTokens" | "topLogProbabilities">;

/** A row that waits to be scored. */
interface Request {
  row: Int32Array;
  plan: NativePlan;
  /** The number of most probable tokens to return for each token. */
  top: number;
  /** Equal for requests that one scorer can score. */
  key: string;
  resolve(scores: TokenScores): void;
  reject(reason: unknown): void;
  aborted: boolean;
  /** Called on an abort. */
  onAborted?: () => void;
}

function keyOf(plan: NativePlan, top: number): string {
  const blocks = plan.map(({ mode, heads, mean, mlpMode, mlpMean }) => [mode, heads, mean, mlpMode, mlpMean].join(":"));
  return `${top} ${blocks.join(" ")}`;
}

function toNative(batch: readonly Request[]): NativeScoringRows {
  return {
    rows: toNativeRows(batch.map(({ row }) => row)),
    first: new Int32Array(batch.length).fill(1),
    groups: new Int32Array(batch.length).fill(1),
    decode: false,
  };
}

function resolveAll(batch: readonly Request[], scores: NativeScores): void {
  let begin = 0;
  for (const { row, top, resolve } of batch) {
    const end = begin + row.length - 1;
    resolve({
      logLikelihood: scores.logLikelihood.slice(begin, end),
      topTokens: scores.topTokens.slice(begin * top, end * top),
      topLogProbabilities: scores.topLogProbabilities.slice(begin * top, end * top),
    });
    begin = end;
  }
}

/** Scores the tokens of rows. Rows of all calls that wait at the same time are scored together, under the same plan. */
export class ScoringBatch {
  #pending: Request[] = [];
  #running = false;

  constructor(
    readonly addon: Addon,
    private readonly native: NativeModel,
    readonly device: string,
  ) {}

  /**
   * Scores each token of a row from the second one on. An abort rejects at once with the signal's reason. Throws
   * NOT_FINITE.
   */
  async score(row: Int32Array, plan: NativePlan, top: number, signal: AbortSignal | undefined): Promise<TokenScores> {
    signal?.throwIfAborted();
    let stop: (() => void) | undefined;
    try {
      return await new Promise<TokenScores>((resolve, reject) => {
        const request: Request = { row, plan, top, key: keyOf(plan, top), resolve, reject, aborted: false };
        if (signal) {
          stop = onAbort(signal, () => {
            request.aborted = true;
            request.onAborted?.();
            reject(signal.reason);
          });
        }
        this.#pending.push(request);
        if (!this.#running) void this.#run();
      });
    } finally {
      stop?.();
    }
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#pending.length > 0) {
      // Calls of the same turn of the event loop join the batch.
      await setImmediate();
      this.#pending = this.#pending.filter(({ aborted }) => !aborted);
      const batch = this.#nextBatch();
      if (batch.length > 0) await this.#score(batch);
    }
    this.#running = false;
  }

  /** Removes the oldest request from the pending ones, with those that can be scored with it and are about as long. */
  #nextBatch(): Request[] {
    const [oldest] = this.#pending;
    if (oldest === undefined) return [];
    const distance = ({ row }: Request) => Math.abs(row.length - oldest.row.length);
    const candidates = this.#pending.filter(({ key }) => key === oldest.key).sort((a, b) => distance(a) - distance(b));
    const most = this.device === "cpu" ? maxTokens.cpu : maxTokens.device;
    const batch: Request[] = [];
    let tokens = 0;
    let longest = 0;
    for (const request of candidates) {
      tokens += request.row.length;
      longest = Math.max(longest, request.row.length);
      const padded = longest * (batch.length + 1);
      if (batch.length > 0 && (padded > most || padded > maxPadding * tokens)) break;
      batch.push(request);
    }
    const chosen = new Set(batch);
    this.#pending = this.#pending.filter((request) => !chosen.has(request));
    return batch;
  }

  async #score(batch: readonly Request[]): Promise<void> {
    let scored = batch;
    try {
      const { plan, top } = batch[0] as Request;
      const scheme = { temperature: 1, topK: 0 };
      const memory = defaultMemory(this);
      const scorer = new this.addon.Scorer(this.native, { plans: [plan], scheme, top, memory });
      const fitting = scorer.take(toNative(batch));
      scored = batch.slice(0, fitting);
      this.#pending.unshift(...batch.slice(fitting));
      const control = new this.addon.Control();
      for (const request of scored) {
        // The work is cancelled only if all of its requests are aborted.
        request.onAborted = () => scored.every(({ aborted }) => aborted) && control.abort();
      }
      const { plans } = await scorer.score(control);
      resolveAll(scored, plans[0] as NativeScores);
    } catch (error) {
      if (scored.length === 1) return scored[0]?.reject(fromNative(error));
      // A row whose scores are not finite must not fail the others.
      for (const request of scored) if (!request.aborted) await this.#score([request]);
    }
  }
}
