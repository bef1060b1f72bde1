/** A row of tokens to score, from the token `first` on. */
export interface ScoredRow {
  tokens: Int32Array;
  /** The index of the first scored token; at least 1. */
  first: number;
  /** Whether the row is also decoded greedily from its first scored token on. */
  decode: boolean;
  /** Whether the decoded tokens are also compared with the row as a sequence. Only for rows that are decoded. */
  compare?: boolean;
  /** Whether continuations of the row are sampled. */
  sample?: boolean;
  /** Consecutive rows with the same group object form one packed row, so their common prefix is computed once. */
  group?: object;
  /** Whether the row is rescored in float32 if half precision cannot decide whether greedy decoding gives it. */
  rescore: boolean;
}

/** The scores of each scored token of a row under one plan. */
export interface TokenValues {
  /** The log-probability of the true token under the sampling scheme. -Infinity if it is never sampled. */
  schemeLogLikelihood: Float32Array;
  /** 1 if the true token is the most probable one given the true tokens before it, otherwise 0. */
  predicted: Uint8Array;
}

/** The scores of one row under one plan, over its scored tokens. Natural logarithms. */
export interface RowScores {
  /** The number of tokens before the first one that greedy decoding gets wrong. */
  extractable: number;
  /** The number of tokens that are the most probable one given the true tokens before them. */
  predicted: number;
  /** The number of tokens that greedy decoding gets right at their position. 0 if the row is not decoded. */
  decoded: number;
  /** The Levenshtein distance of the decoded tokens and the true ones. 0 if they are not compared. */
  editDistance: number;
  /** The length of their longest common subsequence. 0 if they are not compared. */
  commonSubsequence: number;
  /** The sum of the entropies of the next token, in nats. */
  entropy: number;
  /** The sum of the log-probabilities of the true tokens. */
  logLikelihood: number;
  /**
   * The sum of the log-probabilities of the true tokens under the sampling scheme. -Infinity if one is never sampled.
   */
  schemeLogLikelihood: number;
  /**
   * The smallest difference between the logit of a true token and the greatest other logit. Negative if a true token is
   * not the most probable one.
   */
  margin: number;
  /** The scores of each token. Only with `ScoringOptions.tokens`. */
  tokens?: TokenValues;
  /** The share of the sampled continuations that match. Only for rows whose continuations were sampled. */
  sampledMatch?: number;
}
