import * as v from "valibot";
import type { ModelConfig } from "../families/config.js";

/** A token and its log-probability under the model at temperature 1, natural logarithm. */
export interface TokenLogProbability {
  /** The token id. */
  token: number;
  /** The log-probability of the token. */
  logProbability: number;
}

/** The schema of how many of the most probable tokens a call returns. */
export const rankCount = ({ vocabularySize }: ModelConfig) =>
  v.pipe(
    v.number(),
    v.check(
      (count: number) => Number.isInteger(count) && count >= 0 && count <= vocabularySize,
      `a whole number from 0 to the vocabulary size, ${vocabularySize},`,
    ),
  );
