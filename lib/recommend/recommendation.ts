import type { Interval } from "../statistics/bootstrap.js";
import type { Variant } from "../sweep/variants.js";

/** What is left of memorization and ability under one bypass of a sweep. */
export interface Candidate extends Variant {
  /** Share of the samples whose suffix greedy generation gives: `exactMatch`. */
  memorization: Interval;
  /** By how much that is below the unmodified model's, sample by sample. */
  removed: Interval;
  /** Mean over the tasks of their accuracy. */
  ability: Interval;
  /** By how many points of accuracy that is below the unmodified model's, question by question. */
  loss: Interval;
  /** Perplexity, if the sweep measured it. */
  perplexity?: number;
  /** By how many percent perplexity is above the unmodified model's. A sweep has no interval for it. */
  perplexityIncrease?: number;
}

/** Why a recommended bypass is not certain:
 * - "removal-interval": the interval of what it removes includes 0.
 * - "loss-interval": the interval of its loss includes losses above the tolerance.
 * - "few-questions": the sweep has too few questions to exclude a loss above the tolerance even if no answer changes.
 * - "no-perplexity": the sweep did not measure perplexity. */
export type Doubt = "removal-interval" | "loss-interval" | "few-questions" | "no-perplexity";

/** Which bypass to take, which others are on the Pareto front, and what this rests on. */
export interface Recommendation {
  /** The unmodified model. */
  base: {
    /** As a candidate's. */
    memorization: Interval;
    /** As a candidate's. */
    ability: Interval;
    /** As a candidate's. */
    perplexity?: number;
  };
  /** The bypasses on the Pareto front of memorization, ability and, if measured, perplexity: no other bypass, nor the
   * unmodified model, is at least as good in all and better in one. The least memorization first. */
  front: Candidate[];
  /** What the sweep shows:
   * - "bypass": `best` is the bypass to take.
   * - "none-within-tolerance": every bypass that removes memorization costs more than the tolerances.
   * - "nothing-memorized": the unmodified model's exact match is not above 0 at 95 %, so there is nothing to remove.
   * - "too-few-samples": fewer than 10 samples do not show what the model has memorized. */
  verdict: "bypass" | "none-within-tolerance" | "nothing-memorized" | "too-few-samples";
  /** The bypass that leaves the least memorization within the tolerances. Absent for every other verdict. */
  best?: Candidate;
  /** Whether `best` is certain at 95 % on these samples and tasks: true if there are no `doubts`. */
  certain: boolean;
  /** Why `best` is not certain. */
  doubts: Doubt[];
  /** What the recommendation rests on. */
  basis: {
    /** The number of samples. */
    samples: number;
    /** The number of tasks. */
    tasks: number;
    /** The number of questions of all tasks. */
    questions: number;
    /** The number of tokens that perplexity was measured on. Absent if it was not measured. */
    tokens?: number;
    /** The loss in points of accuracy that this many questions cannot exclude at 95 % even if no answer changes. */
    undetectedLoss: number;
  };
  /** How many points of accuracy may be lost, as it was asked for. */
  tolerance: number;
  /** By how many percent perplexity may rise, as it was asked for. */
  perplexityTolerance: number;
}
