import type { NativeError } from "../errors/native-error.js";
import type { FileIdentity } from "../files/file-identity.js";

/**
 * The whole surface of the native addon. Nothing but the files that import these types touches it, and what goes in
 * has been validated: the addon converts and computes. Promises reject with {@link NativeError}.
 */

/** Rows of tokens, one after the other. */
export interface NativeRows {
  tokens: Int32Array;
  lengths: Int32Array;
}

export type NativeMode = "none" | "zero" | "short-circuit" | "mean";

/** What a bypass changes in one block. */
export interface NativeBlockBypass {
  mode: NativeMode;
  /** For each head, 1 where it is bypassed; empty: the attention as a whole. */
  heads: Uint8Array;
  /** Of the mode "mean": the head outputs side by side, as many numbers as the model is wide. Otherwise empty. */
  mean: Float32Array;
  /** Never "short-circuit". */
  mlpMode: NativeMode;
  /** Of the mode "mean": the MLP's output, as many numbers as the model is wide. Otherwise empty. */
  mlpMean: Float32Array;
}

/** For each block. */
export type NativePlan = NativeBlockBypass[];

export interface NativeConfig {
  family: string;
  blockCount: number;
  hiddenSize: number;
  headCount: number;
  intermediateSize: number;
  vocabularySize: number;
  contextLength: number;
  activation: string;
  normEpsilon: number;
  tiedEmbedding: boolean;
  /** For each block, how many tokens back it sees, itself included; 0: all. */
  windows: Int32Array;
  parallelResidual: boolean;
  attentionBias: boolean;
  rotarySize: number;
  rotaryBase: number;
  attentionScale: number;
}

/** A tensor in a file, whatever the file's format. */
export interface NativeTensor {
  name: string;
  /** As safetensors spells it: F32, BF16, F16, ... */
  dtype: string;
  shape: number[];
  /** In elements. */
  strides: number[];
  /** The index of its file in the source's files. */
  file: number;
  /** Of the bytes that it may use in the file. */
  begin: number;
  end: number;
}

/** A model's weights. */
export interface NativeSource {
  files: FileIdentity[];
  tensors: NativeTensor[];
}

/** `device` is "cpu" or "cuda:N"; `threads` 0 leaves libtorch's own number. */
export interface NativeLoadOptions {
  device: string;
  dtype: "float64" | "float32" | "bfloat16" | "float16";
  threads: number;
  /** Keep the matrices in their files and copy one block at a time to the device. */
  offload: boolean;
  /** Accept weights that are NaN or infinite. */
  allowNonFinite: boolean;
}

/** Tokens are scored from `first` on in each row, under each plan. */
export interface NativeScoringOptions {
  plans: readonly NativePlan[];
  /** `topK` 0: all tokens. */
  scheme: { temperature: number; topK: number };
  /** Bytes that the work may take in addition to the weights. */
  memory: number;
}

/** Rows to score in one batch. */
export interface NativeScoringRows {
  rows: NativeRows;
  /** For each row, its first token that is scored. */
  first: Int32Array;
  /** How many consecutive rows form each group. The common prefix of a group is computed once. */
  groups: Int32Array;
  /** Whether rows are decoded too; then each is a group of its own. */
  decode: boolean;
}

/** One value for each scored token, row after row. */
export interface NativeScores {
  logLikelihood: Float32Array;
  entropy: Float32Array;
  schemeLogLikelihood: Float32Array;
  /** The true token's logit less the greatest of the others. */
  margin: Float32Array;
  predicted: Int32Array;
  /** Empty where nothing is decoded. */
  decoded: Int32Array;
}

export interface NativeScoreResult {
  plans: NativeScores[];
  /** Floating-point operations of the matrix products. */
  operations: number;
}

export interface NativeAttentionSurvey {
  /** For each block. `mean`: the head outputs side by side; `mlpMean`: the MLP's output. As wide as the model. */
  blocks: { share: number; heads: Float64Array; mean: Float64Array; mlpMean: Float64Array }[];
  tokens: number;
}

/** One value for each token. */
export interface NativeDivergence {
  /** `contribution` is empty and `contributionBound` 0 where the attention is not bypassed as a whole by mode zero. */
  blocks: {
    stream: Float64Array;
    distance: Float64Array;
    bound: Float64Array;
    contribution: Float64Array;
    contributionBound: number;
  }[];
  /** `changed` and `certain`: 1 where it is so. */
  output: { divergence: Float64Array; bound: Float64Array; changed: Uint8Array; certain: Uint8Array };
}

export interface NativeGenerationOptions {
  maxNewTokens: number;
  /** 0: greedy. */
  temperature: number;
  /** 0: all tokens. */
  topK: number;
  topP: number;
  /** One for each row, whole numbers below 2^53. */
  seeds: Float64Array;
}

/** The next token of a row. */
export interface NativeToken {
  token: number;
  /** Under the model, at temperature 1. */
  logProbability: number;
  /** Why the row has none. */
  failure?: NativeError;
}

/** Ends one call's work, and hears of its progress. */
export interface NativeControl {
  abort(): void;
}

export interface NativeModel {
  load(config: NativeConfig, source: NativeSource, options: NativeLoadOptions, control?: NativeControl): Promise<void>;
  /** Writes a TorchScript archive with extra files in it. */
  save(path: string, extra: Record<string, string>, control?: NativeControl): Promise<void>;
  /** (rows, longest row, vocabulary), not a number behind the end of a row. */
  logits(rows: NativeRows, plan: NativePlan, control?: NativeControl): Promise<Float32Array>;
  attention(rows: NativeRows, control?: NativeControl): Promise<NativeAttentionSurvey>;
  /** Of each row under each plan, by a model in float64. */
  diverge(rows: NativeRows, plans: readonly NativePlan[], control?: NativeControl): Promise<NativeDivergence[][]>;
  /** Frees the weights, after the work that is queued. */
  close(): Promise<void>;
}

/** Scores batches of rows under the same plans. */
export interface NativeScorer {
  /** Sets the next batch. Returns the number of its groups, from the first on, that fit into memory; at least 1. The
   * others are dropped. Requires a loaded model. Throws {@link NativeError}. */
  take(rows: NativeScoringRows): number;
  /** Scores the batch that `take` has set. */
  score(control?: NativeControl): Promise<NativeScoreResult>;
}

/** The generations of a model, which are decoded as one batch. */
export interface NativeGenerator {
  /** Adds rows with a plan and options of their own. Resolves with their numbers. */
  add(prompts: NativeRows, plan: NativePlan, options: NativeGenerationOptions): Promise<Int32Array>;
  /** Decodes a token of each of these rows; a row's first step reads its prompt. */
  step(rows: Int32Array, control?: NativeControl): Promise<NativeToken[]>;
  /** Frees rows. Numbers of rows that are gone are ignored. */
  remove(rows: Int32Array): Promise<void>;
}

/** What a process that runs a stranger's code may still take. */
export interface NativeLimits {
  /** Bytes of memory, beside what the process has at that time. */
  memory: number;
  /** Seconds of processor time. */
  seconds: number;
}

/** A TorchScript module by somebody else. */
export interface NativeTraced {
  /** The logits for one row of tokens. Throws {@link NativeError} if the module fails or returns none. */
  logits(tokens: Int32Array): { data: Float32Array; shape: number[] };
}

/** What the libtorch that is loaded says of itself. */
export interface NativePlatform {
  /** Its version. */
  libtorch: string;
  /** The processor's vector instructions that it uses, such as "AVX2". */
  cpuCapability: string;
  /** The number of threads that work runs on by default. */
  threads: number;
  /** How many CUDA devices it sees. */
  cudaDevices: number;
  /** Why there are none, or "". */
  cudaRefusal: string;
}

export interface Addon {
  Control: new (onProgress?: (share: number) => void) => NativeControl;
  Model: new () => NativeModel;
  Generator: new (model: NativeModel) => NativeGenerator;
  Scorer: new (model: NativeModel, options: NativeScoringOptions) => NativeScorer;
  /** Ends all work, at the process's exit. */
  endAll(): void;
  platform(): Promise<NativePlatform>;
  /** Bytes that are free on a CUDA device. Throws {@link NativeError}. */
  freeMemory(device: string): number;
  /**
   * Limits this process for good, then loads a TorchScript module, whose code may do anything. Only for a process that
   * was started for this. Throws {@link NativeError}.
   */
  Traced: new (
    path: string,
    limits: NativeLimits,
  ) => NativeTraced;
}

/** The small addon that opens libtorch for the other one. */
export interface Preload {
  /** The variables, such as "NAME=value", are in the process's environment only while the library is opened. */
  open(path: string, variables: readonly string[]): Promise<void>;
}
