import type { NativeError } from "../errors/native-error.js";
import type { FileIdentity } from "../files/file-identity.js";

// The types of everything that the native addon exports. Arguments must be validated before a call: the addon only
// converts and computes. Promises reject with a `NativeError`.

/** Rows of token ids: all ids in one array, row after row, and the length of each row. */
export interface NativeRows {
  tokens: Int32Array;
  lengths: Int32Array;
}

export type NativeMode = "none" | "zero" | "short-circuit" | "mean";

/** What a bypass changes in one block. */
export interface NativeBlockBypass {
  mode: NativeMode;
  /** One value per head: 1 if it is bypassed. Empty: the whole attention is bypassed. */
  heads: Uint8Array;
  /** For mode "mean": the mean head outputs, concatenated (hiddenSize values). Otherwise empty. */
  mean: Float32Array;
  /** Never "short-circuit". */
  mlpMode: NativeMode;
  /** For mode "mean": the mean MLP output (hiddenSize values). Otherwise empty. */
  mlpMean: Float32Array;
}

/** One entry for each block. */
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
  /** One value per block: the attention window in tokens, including the current one; 0: the whole context. */
  windows: Int32Array;
  parallelResidual: boolean;
  attentionBias: boolean;
  /** Build attention without biases with biases of zeros. */
  zeroAttentionBias: boolean;
  /** One value for each head of each block: 1 if it attends only to the token itself. Empty: no head does. */
  shortCircuited: Uint8Array;
  rotarySize: number;
  rotaryBase: number;
  attentionScale: number;
}

/** A tensor in a file of any format. */
export interface NativeTensor {
  name: string;
  /** The dtype by its name in safetensors: F32, BF16, F16, ... */
  dtype: string;
  shape: number[];
  /** The strides in elements. */
  strides: number[];
  /** The index of its file in `NativeSource.files`. */
  file: number;
  /** The range of bytes in the file, from `begin` up to `end`, that the tensor may use. */
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

/** The settings of a scorer, which scores rows under each plan. */
export interface NativeScoringOptions {
  plans: readonly NativePlan[];
  /** `topK` 0: all tokens. */
  scheme: { temperature: number; topK: number };
  /** The number of most probable tokens to return for each scored token. */
  top: number;
  /** The bytes that scoring may use in addition to the weights. */
  memory: number;
  /** Whether `effects` is called instead of `score`, which needs more memory. Defaults to false. */
  effects?: boolean;
}

/** Rows to score in one batch. */
export interface NativeScoringRows {
  rows: NativeRows;
  /** One value per row: the position of the first token that is scored. */
  first: Int32Array;
  /** How many consecutive rows form each group. The common prefix of a group is computed once. */
  groups: Int32Array;
  /** Whether rows are also decoded greedily. Then each row must be a group. */
  decode: boolean;
}

/** One value for each scored token, row after row. */
export interface NativeScores {
  logLikelihood: Float32Array;
  entropy: Float32Array;
  schemeLogLikelihood: Float32Array;
  /** The true token's logit minus the largest other logit. */
  margin: Float32Array;
  predicted: Int32Array;
  /** The decoded tokens; empty if rows are not decoded. */
  decoded: Int32Array;
  /** The `top` most probable tokens at each scored token, the most probable first, and their log-probabilities. */
  topTokens: Int32Array;
  topLogProbabilities: Float32Array;
}

export interface NativeScoreResult {
  plans: NativeScores[];
  /** The number of floating-point operations of the matrix products. */
  operations: number;
}

/** Sums over the scored tokens of each row. */
export interface NativeSuffixSums {
  logLikelihood: Float64Array;
  /** The sum of the logits of the true tokens. */
  logit: Float64Array;
}

/** The model under one plan; docs/effects.md defines the numbers. */
export interface NativePlanEffects {
  /** Everything after a bypassed part is recomputed. */
  total: NativeSuffixSums;
  /** Later parts keep the outputs that they have without a bypass. */
  direct: NativeSuffixSums;
  /** As `direct`, with the standard deviations of the final norm without a bypass. */
  frozen: NativeSuffixSums;
  /**
   * The contributions to `total.logit` of the embedding, of attention and MLP of each block, and of the final norm's
   * shift, one row of each after the other.
   */
  contributions: Float64Array;
  /** The same with the standard deviations of the final norm without a bypass. */
  frozenContributions: Float64Array;
}

export interface NativeAttentionSurvey {
  /**
   * One entry per block. `mean`: the mean head outputs, concatenated; `mlpMean`: the mean MLP output (hiddenSize each).
   */
  blocks: { share: number; heads: Float64Array; mean: Float64Array; mlpMean: Float64Array }[];
  tokens: number;
}

/** Divergences of one row. Each array has one value per token. */
export interface NativeDivergence {
  /** `contribution` is empty and `contributionBound` is 0 unless the whole attention is bypassed with mode "zero". */
  blocks: {
    stream: Float64Array;
    distance: Float64Array;
    bound: Float64Array;
    contribution: Float64Array;
    contributionBound: number;
  }[];
  /** `changed`: 1 if the top-1 token changed. `certain`: 1 if it is proven that it cannot change. */
  output: { divergence: Float64Array; bound: Float64Array; changed: Uint8Array; certain: Uint8Array };
}

export interface NativeGenerationOptions {
  maxNewTokens: number;
  /** 0: greedy. */
  temperature: number;
  /** 0: all tokens. */
  topK: number;
  topP: number;
  /** The number of most probable tokens to return with each token. */
  top: number;
  /** One seed per row: whole numbers below 2^53. */
  seeds: Float64Array;
}

/** A token and its log-probability under the model, at temperature 1. */
export interface NativeRankedToken {
  token: number;
  logProbability: number;
}

/** The next token of a row. */
export interface NativeToken extends NativeRankedToken {
  /** The most probable tokens, the most probable first. */
  top: NativeRankedToken[];
  /** The error if the row has no next token. */
  failure?: NativeError;
}

/** A weight of a model. */
export interface NativeWeight {
  /** Its name in a Hugging Face checkpoint. */
  name: string;
  dtype: "F32" | "BF16" | "F16";
  shape: number[];
}

/** Cancels the work of one call and reports its progress. */
export interface NativeControl {
  abort(): void;
}

export interface NativeModel {
  /** Resolves with whether all weights have the values of the files, without rounding. */
  load(
    config: NativeConfig,
    source: NativeSource,
    options: NativeLoadOptions,
    control?: NativeControl,
  ): Promise<boolean>;
  /** Makes this a model that computes in float32 with the weights of another one, which must be in memory. */
  widen(from: NativeModel, threads: number): Promise<void>;
  /**
   * Writes a bypass into the weights, which must be in memory, and the model as a TorchScript archive that contains the
   * extra files, by name. Modes "short-circuit" of the plan are ignored: see `NativeConfig.shortCircuited`.
   */
  save(path: string, extra: Record<string, string>, plan: NativePlan, control?: NativeControl): Promise<void>;
  /** Returns the weights as `saveWeights` writes them. */
  weights(): Promise<NativeWeight[]>;
  /**
   * Writes a safetensors file with this header and the weights of these names, with a bypass in them. The header must
   * describe the weights in this order.
   */
  saveWeights(
    path: string,
    header: string,
    names: readonly string[],
    plan: NativePlan,
    control?: NativeControl,
  ): Promise<void>;
  /** Returns logits (rows, longest row, vocabulary), padded with NaN after the end of a row. */
  logits(rows: NativeRows, plan: NativePlan, control?: NativeControl): Promise<Float32Array>;
  attention(rows: NativeRows, control?: NativeControl): Promise<NativeAttentionSurvey>;
  /** Returns the divergences of each row under each plan, computed by a model in float64. */
  diverge(rows: NativeRows, plans: readonly NativePlan[], control?: NativeControl): Promise<NativeDivergence[][]>;
  /** Frees the weights after all queued work is done. */
  close(): Promise<void>;
}

/** Scores batches of rows under the same plans. */
export interface NativeScorer {
  /** Sets the next batch. Returns the number of its groups, from the first on, that fit into memory; at least 1. The
   * others are dropped. Requires a loaded model. Throws {@link NativeError}. */
  take(rows: NativeScoringRows): number;
  /** Scores the batch that `take` has set. */
  score(control?: NativeControl): Promise<NativeScoreResult>;
  /**
   * Measures the effects of each plan on the batch that `take` has set. The first plan must bypass nothing, and each row
   * must be a group.
   */
  effects(control?: NativeControl): Promise<NativePlanEffects[]>;
}

/** Generates tokens for the rows of all calls as one batch. */
export interface NativeGenerator {
  /** Adds rows with their plan and options. Resolves with the numbers of the rows. */
  add(prompts: NativeRows, plan: NativePlan, options: NativeGenerationOptions): Promise<Int32Array>;
  /**
   * Decodes one token for each of these rows. The first steps of a row compute its prompt, and resolve with null for it
   * until the prompt is complete.
   */
  step(rows: Int32Array, control?: NativeControl): Promise<(NativeToken | null)[]>;
  /** Frees rows. Numbers of rows that were already freed are ignored. */
  remove(rows: Int32Array): Promise<void>;
}

/** The resource limits of a process that runs untrusted code. */
export interface NativeLimits {
  /** The bytes of memory that the process may use in addition to what it uses when the limit is set. */
  memory: number;
  /** The seconds of CPU time. */
  seconds: number;
}

/** An untrusted TorchScript module. */
export interface NativeTraced {
  /** Returns the logits for one row of tokens. Throws {@link NativeError} if the module fails or returns no logits. */
  logits(tokens: Int32Array): { data: Float32Array; shape: number[] };
}

/** Properties of the loaded libtorch. */
export interface NativePlatform {
  /** The version of libtorch. */
  libtorch: string;
  /** The vector instructions of the processor that libtorch uses, such as "AVX2". */
  cpuCapability: string;
  /** The instructions of this package's own products of a few tokens, such as "AVX2"; "" if it has none for this processor. */
  cpuKernels: string;
  /** The dtype in which the CPU computes for models in half precision: float32 on processors that are slower in half precision. */
  cpuArithmetic: {
    /** For models in bfloat16. */
    bfloat16: "bfloat16" | "float32";
    /** For models in float16. */
    float16: "float16" | "float32";
  };
  /** The default number of threads for computations. */
  threads: number;
  /** The number of CUDA devices. */
  cudaDevices: number;
  /** Why there are no CUDA devices; "" if there are some. */
  cudaRefusal: string;
}

/** What computations asked of their device: src/base/launches.h. */
export interface NativeLaunches {
  operators: number;
  uploads: number;
  uploadedBytes: number;
  readbacks: number;
  keyValueBytes: number;
  decodedRows: number;
}

export interface Addon {
  Control: new (onProgress?: (fraction: number) => void) => NativeControl;
  Model: new () => NativeModel;
  Generator: new (model: NativeModel) => NativeGenerator;
  Scorer: new (model: NativeModel, options: NativeScoringOptions) => NativeScorer;
  /** Ends all work when the process exits. */
  endAll(): void;
  platform(): Promise<NativePlatform>;
  /** Returns the free bytes of a CUDA device. Throws {@link NativeError}. */
  freeMemory(device: string): number;
  /** Returns what computations asked of their device since the last call, if it was told to count; whether to count from now on. */
  launches(count: boolean): NativeLaunches;
  /**
   * Sets the limits of this process permanently, then loads a TorchScript module, whose code is untrusted. Use it only
   * in a process that was started for this. Throws {@link NativeError}.
   */
  Traced: new (
    path: string,
    limits: NativeLimits,
  ) => NativeTraced;
}

/** The small addon that opens libtorch before the main addon is loaded. */
export interface Preload {
  /** Opens a library. The variables, such as "NAME=value", are set in the environment only while it is opened. */
  open(path: string, variables: readonly string[]): Promise<void>;
}
