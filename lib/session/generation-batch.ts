import type {
  Addon,
  NativeGenerationOptions,
  NativeGenerator,
  NativeModel,
  NativePlan,
  NativeToken,
} from "../addon/native.js";
import { fromNative } from "../errors/errors.js";
import { onAbort } from "../operation/abort.js";
import { toNativeRows } from "../tokenizer/tokens.js";

/** A call that waits for the next token of its rows. */
interface Request {
  rows: Int32Array;
  resolve(tokens: NativeToken[]): void;
  reject(reason: unknown): void;
  /** Set when the call has ended, by an abort. */
  ended: boolean;
  /** Called when the call ends. */
  onEnd?: () => void;
}

/**
 * The generations that run on a model at the same time. Calls that ask for their next token in the same turn of the event
 * loop are decoded together, each with its own bypass and sampling.
 */
export class GenerationBatch {
  readonly #addon: Addon;
  readonly #generator: NativeGenerator;
  #waiting: Request[] = [];
  #scheduled = false;
  readonly #rows = new Set<number>();
  /** A stream that nobody holds any more does not come back to remove its rows. */
  readonly #forgotten = new FinalizationRegistry<Int32Array>((rows) => void this.remove(rows));

  constructor(addon: Addon, native: NativeModel) {
    this.#addon = addon;
    this.#generator = new addon.Generator(native);
  }

  /** Adds rows for as long as `owner` is in use or until they are removed. Returns their numbers. */
  async add(
    owner: object,
    prompts: readonly Int32Array[],
    plan: NativePlan,
    options: NativeGenerationOptions,
  ): Promise<Int32Array> {
    const rows = await this.#generator.add(toNativeRows(prompts), plan, options).catch((error: unknown) => {
      throw fromNative(error);
    });
    for (const row of rows) this.#rows.add(row);
    this.#forgotten.register(owner, rows, owner);
    return rows;
  }

  /** Says that an owner has removed its rows itself. */
  release(owner: object): void {
    this.#forgotten.unregister(owner);
  }

  /** The next token of each of these rows. An abort rejects at once with the signal's reason. */
  async step(rows: Int32Array, signal: AbortSignal | undefined): Promise<NativeToken[]> {
    signal?.throwIfAborted();
    let stop: (() => void) | undefined;
    try {
      return await new Promise<NativeToken[]>((resolve, reject) => {
        const request: Request = { rows, resolve, reject, ended: false };
        if (signal) {
          stop = onAbort(signal, () => {
            request.ended = true;
            request.onEnd?.();
            reject(signal.reason);
          });
        }
        this.#waiting.push(request);
        this.#schedule();
      });
    } finally {
      stop?.();
    }
  }

  async remove(rows: Int32Array): Promise<void> {
    const known = rows.filter((row) => this.#rows.delete(row));
    if (known.length > 0) await this.#generator.remove(known);
  }

  /** Frees all rows, those of paused streams included. */
  async close(): Promise<void> {
    if (this.#rows.size > 0) await this.remove(Int32Array.from(this.#rows));
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the calls whose tokens have just come have asked for their next ones.
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    const requests = this.#waiting.filter(({ ended }) => !ended);
    this.#waiting = [];
    if (requests.length > 0) await this.#decode(requests);
    this.#scheduled = false;
    if (this.#waiting.length > 0) this.#schedule();
  }

  /** Decodes a token for each row of these calls. */
  async #decode(requests: readonly Request[]): Promise<void> {
    const control = new this.#addon.Control();
    for (const request of requests) {
      // The work ends early only if nobody waits for it any more.
      request.onEnd = () => requests.every(({ ended }) => ended) && control.abort();
    }
    try {
      const rows = Int32Array.from(requests.flatMap((request) => [...request.rows]));
      const tokens = await this.#generator.step(rows, control);
      let begin = 0;
      for (const request of requests) {
        const own = tokens.slice(begin, begin + request.rows.length);
        begin += request.rows.length;
        const failed = own.find(({ failure }) => failure);
        if (failed) request.reject(fromNative(failed.failure));
        else request.resolve(own);
      }
    } catch (error) {
      const failure = fromNative(error);
      for (const request of requests) request.reject(failure);
    }
  }
}
