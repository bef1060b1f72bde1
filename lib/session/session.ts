import type { Addon, NativeModel } from "../addon/native.js";
import { AttentionBypassError } from "../errors/errors.js";
import type { ModelConfig } from "../families/config.js";
import type { Dtype } from "../families/dtype.js";
import type { FileIdentity } from "../files/file-identity.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { GenerationBatch } from "./generation-batch.js";
import type { LazyModel } from "./lazy-model.js";

/** The state of a loaded model, which every call on it receives. */
export interface Session {
  readonly addon: Addon;
  /** The version of libtorch, such as "2.13.0+cpu". */
  readonly libtorch: string;
  readonly native: NativeModel;
  readonly config: ModelConfig;
  /** The device that the model runs on: "cpu" or "cuda:N". */
  readonly device: string;
  readonly deviceReason: string;
  readonly dtype: Dtype;
  /** The weight files, with their identity at load time. */
  readonly files: readonly FileIdentity[];
  /** What was not loaded from the files, one sentence each. */
  readonly notices: readonly string[];
  /**
   * Whether the weights come from a TorchScript module whose code was not checked against them (see the option
   * `trust`).
   */
  readonly unchecked: boolean;
  readonly float32: LazyModel;
  readonly float64: LazyModel;
  readonly tokenizer: Tokenizer | undefined;
  /** Running and paused generations. */
  readonly generations: GenerationBatch;
}

function disposed(): AttentionBypassError {
  return new AttentionBypassError("DISPOSED", "expected a model in use but it has been disposed of");
}

/** How long a closing gate waits for a reader's next step, in milliseconds. */
const nextStepTimeout = 5_000;

/** A consumer that runs work step by step, such as the pieces of a stream, and may stop after any step. */
export class Reader {
  #left = false;
  #closing = false;
  #reading = false;
  #timer: NodeJS.Timeout | undefined;
  #onLeave: (() => void) | undefined;

  /** Runs one step. Throws DISPOSED if the gate was closed and the reader's next step came too late. */
  async step<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#left) throw disposed();
    clearTimeout(this.#timer);
    this.#reading = true;
    try {
      return await work();
    } finally {
      this.#reading = false;
      this.#startTimeout();
    }
  }

  leave(): void {
    clearTimeout(this.#timer);
    this.#left = true;
    this.#onLeave?.();
  }

  /** Waits until the reader leaves, or requests no step for `nextStepTimeout`. */
  async end(): Promise<void> {
    if (this.#left) return;
    this.#closing = true;
    this.#startTimeout();
    await new Promise<void>((resolve) => {
      this.#onLeave = resolve;
    });
  }

  #startTimeout(): void {
    if (this.#closing && !this.#reading && !this.#left) this.#timer = setTimeout(() => this.leave(), nextStepTimeout);
  }
}

/** Runs work until it is closed. Closing waits for the running work. */
export class Gate {
  #open = true;
  readonly #running = new Set<Promise<unknown>>();
  /** Weak, so that closing does not wait for a stream that was garbage-collected. */
  readonly #readers = new Set<WeakRef<Reader>>();
  readonly #collected = new FinalizationRegistry<WeakRef<Reader>>((reader) => this.#readers.delete(reader));

  get open(): boolean {
    return this.#open;
  }

  /** Throws DISPOSED if the gate is closed. */
  requireOpen(): void {
    if (!this.#open) throw disposed();
  }

  /** Runs work. Throws DISPOSED if the gate is closed. */
  async enter<Value>(work: () => Promise<Value>): Promise<Value> {
    this.requireOpen();
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Returns a new reader, which must call `leave` at its end. Throws DISPOSED if the gate is closed. */
  admit(): Reader {
    this.requireOpen();
    const reader = new Reader();
    const reference = new WeakRef(reader);
    this.#readers.add(reference);
    this.#collected.register(reader, reference);
    return reader;
  }

  async close(): Promise<void> {
    this.#open = false;
    await Promise.all([
      Promise.allSettled(this.#running),
      ...[...this.#readers].map((reader) => reader.deref()?.end()),
    ]);
  }
}
