import type { Companion } from "./companion.js";
import type { ModelConfig } from "./config.js";
import type { Dtype } from "./dtype.js";
import { AttentionBypassError } from "./errors.js";
import type { Addon, NativeDecoder, NativeFile, NativeModel } from "./native.js";
import type { Tokenizer } from "./tokenizer.js";

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
  readonly files: readonly NativeFile[];
  /** What was left out of the files. */
  readonly notices: readonly string[];
  readonly float32: Companion;
  readonly float64: Companion;
  readonly tokenizer: Tokenizer | undefined;
  /** At work or paused; each keeps the weights. A stream that nobody holds any more must not be held here. */
  readonly decoders: Set<WeakRef<NativeDecoder>>;
}

/** Lets work in until it is closed, and then waits for what is in. */
export class Gate {
  #open = true;
  readonly #inside = new Set<Promise<unknown>>();

  get open(): boolean {
    return this.#open;
  }

  /** Throws DISPOSED where the gate is closed. */
  async enter<Value>(work: () => Promise<Value>): Promise<Value> {
    if (!this.#open) throw new AttentionBypassError("DISPOSED", "expected a model in use but it has been disposed of");
    const running = work();
    this.#inside.add(running);
    try {
      return await running;
    } finally {
      this.#inside.delete(running);
    }
  }

  async close(): Promise<void> {
    this.#open = false;
    await Promise.allSettled(this.#inside);
  }
}
