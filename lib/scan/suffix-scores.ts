import { samplesToExtract } from "../metrics/memorization.js";
import type { RowScores, TokenValues } from "../scoring/scored-row.js";

/** The scores of the suffix of a window under one plan. */
export interface SuffixScores {
  /** The sum of the log-probabilities of the tokens that the sampling scheme can sample. */
  logLikelihood: number;
  /** The number of the other tokens. */
  neverSampled: number;
  longestRun: number;
  /** The log-probability of each token; -Infinity if it is never sampled. */
  tokens: Float32Array;
}

/** The scores of the suffix of a window under the unmodified model and each bypass. */
export type ScoredSuffix = readonly SuffixScores[];

function longestRun(predicted: Uint8Array): number {
  let longest = 0;
  let run = 0;
  for (const one of predicted) {
    run = one === 1 ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}

/** Returns the scores of a suffix from those of its row, which include those of each token. */
export function toSuffixScores({ tokens }: RowScores): SuffixScores {
  const { schemeLogLikelihood, predicted } = tokens as TokenValues;
  const sampled = schemeLogLikelihood.filter((value) => value > Number.NEGATIVE_INFINITY);
  return {
    logLikelihood: sampled.reduce((sum, value) => sum + value, 0),
    neverSampled: schemeLogLikelihood.length - sampled.length,
    longestRun: longestRun(predicted),
    tokens: schemeLogLikelihood,
  };
}

/** Returns the probability that one sample is the suffix. Rounding must not make it larger than 1. */
export function extractionProbability({
  logLikelihood,
  neverSampled,
}: Pick<SuffixScores, "logLikelihood" | "neverSampled">): number {
  return neverSampled > 0 ? 0 : Math.min(1, Math.exp(logLikelihood));
}

/** Returns the number of samples that contain the suffix with probability 0.5, at most 2^53 - 1, as JSON has no Infinity. */
export function samplesOf(probability: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, samplesToExtract(probability, 0.5));
}
