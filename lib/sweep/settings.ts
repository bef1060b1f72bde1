import type { ModelConfig } from "../families/config.js";
import type { Dtype } from "../families/dtype.js";
import type { MemorizationMetric } from "../metrics/memorization.js";
import type { FileHash } from "./fingerprint.js";
import type { SweptBlocks, SweptModes, SweptParts } from "./variants.js";

/** The settings of a sweep: everything that determines its measurements. */
export interface SweepSettings {
  /** The option `over` as it was given, without the means of its bypasses. */
  over: SweptBlocks;
  /** The option `part` as it was given. */
  part: SweptParts;
  /** The option `mode` as it was given. */
  mode: SweptModes;
  /**
   * The SHA-256 of each set of means as 32-bit floats: first of the option `means`, then of each bypass with its own.
   * Absent if no means were given.
   */
  means?: string[];
  /** The device that the model ran on: "cpu" or "cuda:N". */
  device: string;
  /** The dtype of the model's weights. */
  dtype: Dtype;
  /** The versions of the software that computed the sweep. */
  versions: {
    /** The version of this package. */
    "attention-bypass": string;
    /** The version of libtorch with its build, such as "2.13.0+cpu". */
    libtorch: string;
  };
  /** The model that was measured. */
  model: {
    /** The model's architecture and sizes. */
    config: ModelConfig;
    /** The weight files and their hashes. */
    files: FileHash[];
  };
  /** The samples. Absent if none were given. */
  samples?: {
    /** The number of samples. */
    rows: number;
    /** The number of suffix tokens of all samples. */
    suffixTokens: number;
    /** The option `prefixLength`. Absent if it was not given. */
    prefixLength?: number;
    /**
     * The SHA-256 of the samples as 32-bit little-endian integers: for each sample its length, the index of its first
     * suffix token, and its tokens.
     */
    sha256: string;
    /** The memorization metrics that were measured. */
    metrics: readonly MemorizationMetric[];
    /** The sampling temperature of `extractionProbability`. */
    temperature: number;
    /** The option `topK`, which applies to `extractionProbability`. Absent if it was not given. */
    topK?: number;
  };
  /** The control rows. Absent if none were given. */
  control?: {
    /** The number of control rows. */
    rows: number;
    /** The number of suffix tokens of all control rows. */
    suffixTokens: number;
    /** The option `prefixLength`. Absent if it was not given. */
    prefixLength?: number;
    /** The SHA-256 of the control rows, in the same form as that of samples. */
    sha256: string;
  };
  /** The text. Absent if none was given. */
  text?: {
    /** The number of windows that the text was divided into. */
    windows: number;
    /** The option `contextLength`. Absent if it was not given. */
    contextLength?: number;
    /** The option `stride`. Absent if it was not given. */
    stride?: number;
    /** The option `beginningToken`. Absent if it was not given. */
    beginningToken?: number;
    /** The SHA-256 of the windows, in the same form as that of samples, with the index of the first scored token. */
    sha256: string;
  };
  /** The tasks, in the order in which they were given. Absent if none were given. */
  tasks?: {
    /** The name of the task, as in the scores. */
    name: string;
    /** The group of the task. Absent if the task has none. */
    group?: string;
    /** The number of questions. */
    questions: number;
    /**
     * The SHA-256 of the task's rows, in the same form as that of samples, with the index of the first scored token.
     */
    sha256: string;
  }[];
  /** The rows on which attention outputs and divergence were measured. Absent without the option `survey`. */
  survey?: {
    /** The number of these rows. */
    rows: number;
    /** The number of tokens in these rows. */
    tokens: number;
  };
}
