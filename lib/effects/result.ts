import type { BypassPart } from "../bypass/bypass.js";
import type { Interval } from "../statistics/bootstrap.js";
import type { SweepSettings } from "../sweep/settings.js";
import type { Variant } from "../sweep/variants.js";

/**
 * How much a bypass changes a sum over the suffix: a mean over rows of the value with the bypass minus the value
 * without it. Intervals are 95 % by bootstrap over rows.
 */
export interface Effect {
  /** The change with everything after the bypassed parts recomputed. */
  total: Interval;
  /**
   * The change if all other attention and MLP outputs stay those of the unmodified model, so that the bypass acts only
   * through the residual stream, the final norm and the output embedding.
   */
  direct: Interval;
  /** As `direct`, but the final norm divides by the standard deviation of the unmodified residual stream. */
  directFrozen: Interval;
  /** `total` minus `direct`: what the recomputed parts add. If it has the opposite sign of `direct`, they compensate. */
  compensation: Interval;
  /** `total` minus `directFrozen`: what the recomputed parts and the final norm's own standard deviation add. */
  compensationFrozen: Interval;
}

/** One row of an `Effect`. */
export interface RowEffect {
  /** The change with everything after the bypassed parts recomputed. */
  total: number;
  /** The change if all other outputs stay those of the unmodified model. */
  direct: number;
  /** As `direct`, with the standard deviation of the unmodified residual stream in the final norm. */
  directFrozen: number;
}

/**
 * The direct contributions of a model's parts to the logits of the true tokens, summed over the suffix: means over
 * rows. Their sum is the logit.
 */
export interface Contributions {
  /** The contribution of the token embedding, with the position embedding if the family has one. */
  embedding: number;
  /** The contribution of each block's attention. */
  attention: number[];
  /** The contribution of each block's MLP. */
  mlp: number[];
  /** The contribution of the final norm's shift, which is the same in every run. */
  shift: number;
}

/** How much a bypass changes the direct contribution of one block's attention or MLP to the logits of the true tokens. */
export interface ContributionChange {
  /** The number of the block. */
  block: number;
  /** The part of the block. */
  part: Exclude<BypassPart, "both">;
  /** Whether the bypass replaces the output of this part, or of some of its heads. */
  bypassed: boolean;
  /** The change if each run's final norm divides by the standard deviation of its own residual stream. */
  change: Interval;
  /** The change if the final norm divides by the standard deviation of the unmodified residual stream in both runs. */
  changeFrozen: Interval;
}

/** One bypass with its effects. */
export type BypassEffects = Variant & {
  /** The effect on the log-likelihood of the suffix, in nats. */
  logLikelihood: Effect;
  /** The effect on the sum of the logits of the true tokens of the suffix. */
  logit: Effect & {
    /**
     * The part of `total` that comes from the final norm, which divides by another standard deviation. `total` is this
     * plus `changeFrozen` of all `changes`.
     */
    norm: Interval;
  };
  /** The direct contributions with the bypass. */
  contributions: Contributions;
  /** The changes of the direct contributions from the first bypassed block on. Earlier outputs do not change. */
  changes: ContributionChange[];
  /** The effects on each row, in the order of the samples. */
  perRow: {
    /** The effect on the log-likelihood of the suffix, in nats. */
    logLikelihood: RowEffect;
    /** The effect on the sum of the logits of the true tokens. */
    logit: RowEffect;
  }[];
};

/** The result of `model.effects`, as plain data. */
export interface EffectsResult {
  /** The number of measured rows. */
  rows: number;
  /** The unmodified model. */
  base: {
    /** The log-likelihood of the suffix, in nats. */
    logLikelihood: Interval;
    /** The sum of the logits of the true tokens of the suffix. */
    logit: Interval;
    /** The direct contributions to `logit`. */
    contributions: Contributions;
    /** The values of each row, in the order of the samples. */
    perRow: {
      /** The log-likelihood of the suffix, in nats. */
      logLikelihood: number;
      /** The sum of the logits of the true tokens of the suffix. */
      logit: number;
    }[];
  };
  /** Each bypass with its effects, in the order of `over`, once for each part and mode. */
  bypasses: BypassEffects[];
  /** Everything that determines the measurements, in the form of a sweep's settings. */
  settings: SweepSettings;
}
