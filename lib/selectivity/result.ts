import type { BypassMode } from "../bypass/bypass.js";
import type { MemorizationMetric } from "../metrics/memorization-scores.js";
import type { Interval } from "../statistics/bootstrap.js";
import type { Variant } from "../sweep/variants.js";

/**
 * The drop of a metric under a bypass: the unmodified model's mean minus the mean with the bypass. Shares are shares
 * from 0 to 1; entropy and log-likelihood are nats per suffix token, and `extractableLength` is a share of the suffix.
 */
export interface MetricSelectivity {
  /** The drop on the memorized rows. */
  memorized: Interval;
  /** The drop on the control rows. */
  control: Interval;
  /**
   * The drop on the memorized rows minus the drop on the control rows. The interval pairs each row with itself and
   * resamples memorized and control rows independently.
   */
  selectivity: Interval;
  /**
   * Whether the control cannot drop as far as the memorized rows did, because its value without a bypass is less than
   * that drop and the metric ends at 0. The selectivity is then above 0 whatever the bypass does.
   */
  controlLimited: boolean;
}

/** A metric of the unmodified model, in the units of `MetricSelectivity`. */
export interface ComparedRows {
  /** The mean over the memorized rows. */
  memorized: Interval;
  /** The mean over the control rows. */
  control: Interval;
}

/** The selectivity of one bypass of a sweep. */
export interface VariantSelectivity extends Variant {
  /** The drops and the selectivity in each metric that the sweep measured. */
  metrics: Partial<Record<MemorizationMetric, MetricSelectivity>>;
}

/** A comparison of attention with MLPs and with random sets of blocks, in one metric. */
export interface DeepBlocksMetric {
  /** Attention bypassed in the deep blocks. */
  attention: MetricSelectivity;
  /** MLPs bypassed in the same blocks. Absent if the sweep has no such bypass in this mode. */
  mlp?: MetricSelectivity & {
    /** The selectivity of attention minus that of the MLPs. */
    difference: Interval;
  };
  /** Attention bypassed in random sets of as many blocks. Absent if the sweep has none in this mode. */
  random?: {
    /** The number of random sets, without the deep blocks themselves. */
    sets: number;
    /** The number of these sets whose selectivity is at least that of the deep blocks. */
    atLeast: number;
    /** The number of these whose drop on the control rows is at most that of the deep blocks. */
    atLeastWithoutMoreLoss: number;
    /**
     * The share (1 + atLeast) / (1 + sets): the probability that a set of blocks that was chosen at random ranks as high
     * among the others.
     */
    rankProbability: number;
  };
}

/** A comparison of the attention of the deep blocks with MLPs and with random sets of blocks, in one mode. */
export interface DeepBlocksComparison {
  /** The mode of all compared bypasses. */
  mode: BypassMode;
  /**
   * The compared bypasses: the last quarter of the blocks at once, or, if the sweep has no quarters, each block of the
   * second half by itself, of which values are means.
   */
  over: "quartile" | "blocks";
  /** The numbers of the deep blocks. */
  blocks: number[];
  /** The comparison in each of the metrics `compared`. */
  metrics: Partial<Record<MemorizationMetric, DeepBlocksMetric>>;
}

/** What the bypasses of a sweep remove from memorized rows and from control rows, as plain data. */
export interface Selectivity {
  /** The number of memorized rows. */
  memorizedRows: number;
  /** The number of control rows. */
  controlRows: number;
  /** The metrics that the sweep measured, of the unmodified model. */
  base: Partial<Record<MemorizationMetric, ComparedRows>>;
  /** Each bypass with its selectivity, in the order of the sweep. */
  variants: VariantSelectivity[];
  /**
   * The metrics of sentences and figures: `teacherForcedAccuracy` and `suffixLogLikelihood` if measured, in which a
   * control can lose as much as memorized rows; otherwise the first that was measured.
   */
  compared: MemorizationMetric[];
  /** Whether the attention of the deep blocks stands out, for each mode in which the sweep bypasses it. */
  deepBlocks: DeepBlocksComparison[];
}
