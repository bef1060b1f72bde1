import type { Addon, NativeModel } from "../addon/native.js";
import type { ModelConfig } from "../families/config.js";
import type { Dtype } from "../families/dtype.js";
import type { FileIdentity } from "../files/file-identity.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { GenerationBatch } from "./generation-batch.js";
import type { LazyModel } from "./lazy-model.js";
import type { ScoringBatch } from "./scoring-batch.js";

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
  /**
   * Whether rounding to the dtype changes results. False for float32, and for half precision if the weights of the
   * files are in that dtype and the device computes in float32.
   */
  readonly rounds: boolean;
  /** The weight files, with their identity at load time. */
  readonly files: readonly FileIdentity[];
  /** What was not loaded from the files, and the bypasses in the weights, one sentence each. */
  readonly notices: readonly string[];
  /** The names of the bypasses that `convert` wrote into the weights. */
  readonly writtenBypasses: readonly string[];
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
  /** Rows whose tokens are being scored, of all calls. */
  readonly scores: ScoringBatch;
}
