import type { Addon, NativeModel } from "../addon/native.js";
import { AttentionBypassError } from "../errors/errors.js";
import type { ModelConfig } from "../families/config.js";
import type { Dtype } from "../families/dtype.js";
import type { FileIdentity } from "../files/file-identity.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { GenerationBatch } from "./generation-batch.js";
import type { LazyModel } from "./lazy-model.js";

/** A loaded model as the calls on it see it. */
export interface Session {
  readonly addon: Addon;
  /** Its version, such as "2.13.0+cpu". */
  readonly libtorch: string;
  readonly native: NativeModel;
  readonly config: ModelConfig;
  /** What it runs on: "cpu" or "cuda:N". */
  readonly device: string;
  readonly deviceReason: string;
  readonly dtype: Dtype;
  /** The files with its weights, as they were when it was loaded. */
  readonly files: readonly FileIdentity[];
  /** What was left out of the files. */
  readonly notices: readonly string[];
  /** Its weights are from a TorchScript module by somebody else, whose code nobody has compared with them. */
  readonly unchecked: boolean;
  readonly float32: LazyModel;
  readonly float64: LazyModel;
  readonly tokenizer: Tokenizer | undefined;
  /** Running or paused generations; each keeps the weights. */
  readonly generations: GenerationBatch;
}

function disposed(): AttentionBypassError {
  return new AttentionBypassError("DISPOSED", "expected a model in use but it has been disposed of");
}

/** How long a closing gate waits for a reader who does not come for the next step, in milliseconds. */
const patience = 5_000;

/** Somebody who takes work step by step, such as the pieces of a stream, and may stay away after any of them. */
export class Reader {
  #left = false;
  #closing = false;
  #reading = false;
  #timer: NodeJS.Timeout | undefined;
  #onLeave: (() => void) | undefined;

  /** Throws DISPOSED for a reader who stayed away for too long when the gate was closed. */
  async step<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.#left) throw disposed();
    clearTimeout(this.#timer);
    this.#reading = true;
    try {
      return await work();
    } finally {
      this.#reading = false;
      this.#waitFromNow();
    }
  }

  leave(): void {
    clearTimeout(this.#timer);
    this.#left = true;
    this.#onLeave?.();
  }

  /** Waits for the reader's last step. */
  async end(): Promise<void> {
    if (this.#left) return;
    this.#closing = true;
    this.#waitFromNow();
    await new Promise<void>((resolve) => {
      this.#onLeave = resolve;
    });
  }

  #waitFromNow(): void {
    if (this.#closing && !this.#reading && !this.#left) this.#timer = setTimeout(() => this.leave(), patience);
  }
}

/** Lets work in until it is closed, and then waits for what is in. */
export class Gate {
  #open = true;
  readonly #inside = new Set<Promise<unknown>>();
  /** A stream that nobody holds any more is not waited for. */
  readonly #readers = new Set<WeakRef<Reader>>();
  readonly #forgotten = new FinalizationRegistry<WeakRef<Reader>>((reader) => this.#readers.delete(reader));

  get open(): boolean {
    return this.#open;
  }

  /** Throws DISPOSED if the gate is closed. */
  requireOpen(): void {
    if (!this.#open) throw disposed();
  }

  /** Throws DISPOSED if the gate is closed. */
  async enter<Value>(work: () => Promise<Value>): Promise<Value> {
    this.requireOpen();
    const running = work();
    this.#inside.add(running);
    try {
      return await running;
    } finally {
      this.#inside.delete(running);
    }
  }

  /** Lets a reader in, who is to leave again. Throws DISPOSED if the gate is closed. */
  admit(): Reader {
    this.requireOpen();
    const reader = new Reader();
    const held = new WeakRef(reader);
    this.#readers.add(held);
    this.#forgotten.register(reader, held);
    return reader;
  }

  async close(): Promise<void> {
    this.#open = false;
    await Promise.all([Promise.allSettled(this.#inside), ...[...this.#readers].map((reader) => reader.deref()?.end())]);
  }
}
