import type { ModelConfig } from "../families/config.js";
import type { Dtype } from "../families/dtype.js";
import type { MemorizationMetric } from "../metrics/memorization.js";
import type { FileHash } from "./fingerprint.js";
import type { SweptBlocks, SweptModes, SweptParts } from "./variants.js";

/** All that decides the numbers. */
export interface SweepSettings {
  /** As it was asked for, without means. */
  over: SweptBlocks;
  /** As it was asked for. */
  part: SweptParts;
  /** As it was asked for. */
  mode: SweptModes;
  /** The SHA-256 of means as 32-bit floats, of each bypass that has some, in the order in which they were given. */
  means?: string[];
  /** What the model ran on: "cpu" or "cuda:N". */
  device: string;
  /** What the model's weights were in. */
  dtype: Dtype;
  /** What it was computed with. */
  versions: {
    /** This package's. */
    "attention-bypass": string;
    /** As its build says. */
    libtorch: string;
  };
  /** The model. */
  model: {
    /** Its shape. */
    config: ModelConfig;
    /** Its weights. */
    files: FileHash[];
  };
  /** Where samples were given. */
  samples?: {
    /** How many. */
    rows: number;
    /** Where it was given. */
    prefixLength?: number;
    /** Of the rows as 32-bit integers: for each its length, where its suffix begins, and its tokens. */
    sha256: string;
    /** What was measured. */
    metrics: readonly MemorizationMetric[];
    /** Of the sampling that `extractionProbability` is about. */
    temperature: number;
    /** The same, where it was given. */
    topK?: number;
  };
  /** Where a text was given. */
  text?: {
    /** Into how many it was cut. */
    windows: number;
    /** Where it was given. */
    contextLength?: number;
    /** Where it was given. */
    stride?: number;
    /** Where it was given. */
    beginningToken?: number;
    /** Of the windows, as of samples. */
    sha256: string;
  };
  /** Where tasks were given. */
  tasks?: {
    /** As in the scores. */
    name: string;
    /** Where it says one. */
    group?: string;
    /** How many. */
    questions: number;
    /** Of the questions as rows, as of samples. */
    sha256: string;
  }[];
  /** Of a sweep with a survey: how many rows and tokens it was over. */
  survey?: {
    /** How many of the samples, windows or questions. */
    rows: number;
    /** How many tokens in them. */
    tokens: number;
  };
}
