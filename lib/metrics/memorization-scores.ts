/**
 * The metrics of a row of tokens that is split into a prefix, which the model is given, and a suffix, the true
 * continuation. Logarithms are natural.
 */
export interface MemorizationScores {
  /** 1 if greedy decoding from the prefix generates exactly the suffix, otherwise 0. */
  exactMatch: number;
  /**
   * The share of the suffix positions where greedy decoding from the prefix generates the suffix's token. Generated
   * tokens, right or wrong, are the input of the next step.
   */
  tokenAccuracy: number;
  /**
   * The share of the suffix positions where the most probable token, given the true tokens before it, is the true
   * token.
   */
  teacherForcedAccuracy: number;
  /** The sum over the suffix positions of the entropy of the next token, given the true tokens before it. In nats. */
  completionEntropy: number;
  /** The sum over the suffix positions of the log-probability of the true token, given the true tokens before it. */
  suffixLogLikelihood: number;
  /** The number of suffix tokens before the first one that greedy decoding gets wrong. */
  extractableLength: number;
  /** The probability that one sample at `temperature` and `topK` from the prefix is the suffix. */
  extractionProbability: number;
  /**
   * The Levenshtein distance of the greedily decoded tokens and the suffix, on tokens, divided by the length of the
   * suffix: 0 for an exact match, at most 1.
   */
  editDistance: number;
  /**
   * The length of the longest common subsequence of the greedily decoded tokens and the suffix, divided by the length
   * of the suffix: 1 for an exact match, at least 0.
   */
  commonSubsequence: number;
  /** 1 if `editDistance` is at most `epsilon`, otherwise 0. */
  approximateMatch: number;
  /**
   * The share of `continuations` sampled at `temperature` and `topK` from the prefix, each as long as the suffix, whose
   * edit distance from the suffix, divided by its length, is at most `epsilon`.
   */
  sampledMatch: number;
}

/** The name of a memorization metric. */
export type MemorizationMetric = keyof MemorizationScores;

/** The names of the memorization metrics that are measured by default. */
export const defaultMemorizationMetrics = [
  "exactMatch",
  "tokenAccuracy",
  "teacherForcedAccuracy",
  "completionEntropy",
  "suffixLogLikelihood",
  "extractableLength",
  "extractionProbability",
] as const satisfies readonly MemorizationMetric[];

/** The name of a memorization metric that is measured by default. */
export type DefaultMemorizationMetric = (typeof defaultMemorizationMetrics)[number];

/** The metrics of the greedily decoded tokens as a sequence. */
export const comparedMetrics = [
  "editDistance",
  "commonSubsequence",
  "approximateMatch",
] as const satisfies readonly MemorizationMetric[];

/**
 * The names of all memorization metrics: those of `defaultMemorizationMetrics`, and those of near-verbatim
 * memorization, which are measured only if they are asked for.
 */
export const memorizationMetrics = [
  ...defaultMemorizationMetrics,
  ...comparedMetrics,
  "sampledMatch",
] as const satisfies readonly MemorizationMetric[];

/** The metrics that are shares from 0 to 1. The others are in nats or counts. */
export const shareMetrics: readonly MemorizationMetric[] = [
  "exactMatch",
  "tokenAccuracy",
  "teacherForcedAccuracy",
  "extractionProbability",
  ...comparedMetrics,
  "sampledMatch",
];
