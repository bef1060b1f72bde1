/** A row of tokens whose tokens from `first` on are scored. */
export interface ScoredRow {
  tokens: Int32Array;
  /** The index of the first scored token; at least 1. */
  first: number;
  /** Whether the row is also decoded greedily from its first scored token on. */
  decode: boolean;
  /** Consecutive rows with the same group are computed together, and their common prefix once. */
  group?: object;
  /** Whether the row is rescored in float32 if half precision cannot tell whether greedy decoding gives it. */
  rescore: boolean;
}

/** The scores of one row under one plan, over its scored tokens. Natural logarithms. */
export interface RowScores {
  /** The number of tokens before the first that greedy decoding gets wrong. */
  extractable: number;
  /** The number of tokens that are the most probable ones given the true tokens before each. */
  predicted: number;
  /** The number of tokens that greedy decoding gets right at their position; 0 if the row is not decoded. */
  decoded: number;
  /** Sum of the entropies of the next token. */
  entropy: number;
  /** Sum of the log-probabilities of the true tokens. */
  logLikelihood: number;
  /** Sum of the log-probabilities of the true tokens under the sampling scheme; -Infinity if one is never sampled. */
  schemeLogLikelihood: number;
  /** The smallest difference between a true token's logit and the greatest of the others; negative if one is not the
   * most probable token. */
  margin: number;
}
