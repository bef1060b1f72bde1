import type { MemorizationMetric } from "../metrics/memorization.js";
import type { Interval } from "../statistics/bootstrap.js";
import type { Variant } from "../sweep/variants.js";

/** The memorization and ability of the model under one bypass of a sweep. */
export interface Candidate extends Variant {
  /** The share of the samples whose suffix greedy decoding generates (`exactMatch`), from 0 to 1. */
  memorization: Interval;
  /** The decrease of that share from the unmodified model's. The interval pairs each sample with itself. */
  removed: Interval;
  /** The same share of the control rows. Absent if the sweep has none. */
  control?: Interval;
  /**
   * The drop on the samples minus the drop on the control rows, in the metric `selectivityMetric`. Absent if the sweep
   * has no control rows.
   */
  selectivity?: Interval;
  /** The mean accuracy over the tasks, from 0 to 1. */
  ability: Interval;
  /**
   * The decrease of that accuracy from the unmodified model's, in percentage points. The interval pairs each question
   * with itself.
   */
  loss: Interval;
  /** The perplexity of the text. Absent if the sweep did not measure it. */
  perplexity?: number;
  /**
   * The increase of perplexity from the unmodified model's, in percent, without an interval. Absent if the sweep did
   * not measure perplexity.
   */
  perplexityIncrease?: number;
  /**
   * Intervals that hold for all bypasses of the sweep at once with a probability of 95 %, so that they also hold for the
   * best of them. `certain` and `doubts` use these.
   */
  simultaneous: {
    /** The interval of `removed`, minus the decrease of the exact match of the control rows if the sweep has any. */
    removed: Interval;
    /** The interval of `loss`. */
    loss: Interval;
    /** The interval of `selectivity`. Absent if the sweep has no control rows. */
    selectivity?: Interval;
  };
}

/** Why a recommended bypass is not certain. Intervals are those that hold for all bypasses at once:
 * - "removal-interval": the interval of `removed` includes 0.
 * - "not-selective": the interval of `selectivity` includes 0, so the bypass may lower any text as much as memorized text.
 * - "loss-interval": the interval of `loss` includes losses above the tolerance.
 * - "few-questions": the sweep has too few questions to exclude a loss above the tolerance even if no answer changes.
 * - "no-perplexity": the sweep did not measure perplexity. */
export type Doubt = "removal-interval" | "not-selective" | "loss-interval" | "few-questions" | "no-perplexity";

/** The recommended bypass, the Pareto front, and the data behind them. */
export interface Recommendation {
  /** The unmodified model. */
  base: {
    /** The share of the samples whose suffix greedy decoding generates (`exactMatch`), from 0 to 1. */
    memorization: Interval;
    /** The same share of the control rows. Absent if the sweep has none. */
    control?: Interval;
    /** The mean accuracy over the tasks, from 0 to 1. */
    ability: Interval;
    /** The perplexity of the text. Absent if the sweep did not measure it. */
    perplexity?: number;
  };
  /**
   * The bypasses on the Pareto front of memorization, ability and, if measured, perplexity, sorted by memorization, the
   * least first. With control rows, memorization is the exact match of the samples minus that of the control rows. For each of them, no other bypass, nor the unmodified model, is at least as good in all and better in
   * one.
   */
  front: Candidate[];
  /** The conclusion:
   * - "bypass": `best` is recommended.
   * - "none-selective": every bypass within the tolerances lowers the control rows as much as the samples.
   * - "none-within-tolerance": every bypass that removes memorization costs more than the tolerances.
   * - "nothing-memorized": the unmodified model's exact match is not above 0, or not above that of the control rows, at
   *   95 %, so there is nothing to remove.
   * - "too-few-samples": the sweep has fewer than 10 samples, too few to show what the model has memorized. */
  verdict: "bypass" | "none-selective" | "none-within-tolerance" | "nothing-memorized" | "too-few-samples";
  /** The bypass that leaves the least memorization within the tolerances. Absent for every other verdict. */
  best?: Candidate;
  /** Whether `best` is certain at 95 % on these samples and tasks: true if there are no `doubts`. */
  certain: boolean;
  /** Why `best` is not certain. Empty if it is certain, or if there is no `best`. */
  doubts: Doubt[];
  /** The amount of data that the recommendation is based on. */
  basis: {
    /** The number of samples. */
    samples: number;
    /** The number of control rows. Absent if the sweep has none. */
    control?: number;
    /** The number of bypasses that were compared. */
    bypasses: number;
    /** The number of tasks. */
    tasks: number;
    /** The total number of questions of all tasks. */
    questions: number;
    /** The number of tokens that perplexity was measured on. Absent if it was not measured. */
    tokens?: number;
    /**
     * The loss, in percentage points of accuracy, that this many questions cannot exclude at 95 % for any of the
     * bypasses, even if no answer changes.
     */
    undetectedLoss: number;
  };
  /** The metric of `selectivity`. Absent if the sweep has no control rows. */
  selectivityMetric?: MemorizationMetric;
  /** The option `tolerance`: the largest acceptable loss of accuracy, in percentage points. */
  tolerance: number;
  /** The option `perplexityTolerance`: the largest acceptable increase of perplexity, in percent. */
  perplexityTolerance: number;
}
