import { setImmediate } from "node:timers";
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

/** A pending call of `step`. */
interface Request {
  rows: Int32Array;
  /** The tokens that have been decoded, by index in `rows`. The prompts of the other rows are not complete yet. */
  tokens: Map<number, NativeToken>;
  resolve(tokens: NativeToken[]): void;
  reject(reason: unknown): void;
  aborted: boolean;
  /** Called on an abort. */
  onAborted?: () => void;
}

/** Resolves or rejects a request if all of its rows have a token, or one has failed. Returns whether it did. */
function settle({ rows, tokens, resolve, reject }: Request): boolean {
  const failed = [...tokens.values()].find(({ failure }) => failure);
  if (failed) reject(fromNative(failed.failure));
  else if (tokens.size === rows.length) resolve(Array.from(rows, (_, index) => tokens.get(index) as NativeToken));
  else return false;
  return true;
}

/**
 * The generations that run on a model at the same time. Calls of `step` in the same turn of the event loop are decoded
 * as one batch, each with its own bypass and sampling.
 */
export class GenerationBatch {
  readonly #addon: Addon;
  readonly #generator: NativeGenerator;
  #pending: Request[] = [];
  #scheduled = false;
  readonly #rows = new Set<number>();
  /** Removes the rows of a stream that was garbage-collected before it ended. */
  readonly #collected = new FinalizationRegistry<Int32Array>((rows) => void this.remove(rows));

  constructor(addon: Addon, native: NativeModel) {
    this.#addon = addon;
    this.#generator = new addon.Generator(native);
  }

  /** Adds rows and returns their numbers. They stay until they are removed or `owner` is garbage-collected. */
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
    this.#collected.register(owner, rows, owner);
    return rows;
  }

  /** Stops watching an owner. Call it when the owner has removed its rows. */
  release(owner: object): void {
    this.#collected.unregister(owner);
  }

  /** Decodes and returns the next token of each row. An abort rejects at once with the signal's reason. */
  async step(rows: Int32Array, signal: AbortSignal | undefined): Promise<NativeToken[]> {
    signal?.throwIfAborted();
    let stop: (() => void) | undefined;
    try {
      return await new Promise<NativeToken[]>((resolve, reject) => {
        const request: Request = { rows, tokens: new Map(), resolve, reject, aborted: false };
        if (signal) {
          stop = onAbort(signal, () => {
            request.aborted = true;
            request.onAborted?.();
            reject(signal.reason);
          });
        }
        this.#pending.push(request);
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

  /** Frees all rows, including those of paused streams. */
  async close(): Promise<void> {
    if (this.#rows.size > 0) await this.remove(Int32Array.from(this.#rows));
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Callers that have just received a token first get the chance to request the next one, so that all share one
    // batch.
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    const requests = this.#pending.filter(({ aborted }) => !aborted);
    this.#pending = [];
    if (requests.length > 0) await this.#decode(requests);
    this.#scheduled = false;
    if (this.#pending.length > 0) this.#schedule();
  }

  /** Decodes one token for each row of the requests that has none. Requests with rows that still have none stay pending. */
  async #decode(requests: readonly Request[]): Promise<void> {
    const control = new this.#addon.Control();
    for (const request of requests) {
      // The step is cancelled only if all of its requests are aborted.
      request.onAborted = () => requests.every(({ aborted }) => aborted) && control.abort();
    }
    try {
      const places = requests.flatMap((request) =>
        [...request.rows]
          .map((row, index) => ({ request, row, index }))
          .filter(({ index }) => !request.tokens.has(index)),
      );
      const tokens = await this.#generator.step(Int32Array.from(places.map(({ row }) => row)), control);
      for (const [place, { request, index }] of places.entries()) {
        const token = tokens[place];
        if (token) request.tokens.set(index, token);
      }
      this.#pending.unshift(...requests.filter((request) => !settle(request)));
    } catch (error) {
      const failure = fromNative(error);
      for (const request of requests) request.reject(failure);
    }
  }
}
