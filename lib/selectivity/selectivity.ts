import { withText } from "../display/text-form.js";
import { AttentionBypassError } from "../errors/errors.js";
import type { MemorizationMetric } from "../metrics/memorization-scores.js";
import { toInterval } from "../statistics/bootstrap.js";
import { checkSweep } from "../sweep/check-result.js";
import type { AnySweepResult, SweepResult, SweptVariant } from "../sweep/result.js";
import type { Variant } from "../sweep/variants.js";
import { compareDeepBlocks } from "./deep-blocks.js";
import { Drops } from "./drops.js";
import { chosenMetrics, measuredMetrics } from "./metrics.js";
import type { Selectivity } from "./result.js";
import { selectivityText } from "./text.js";

/** Returns what a variant bypasses, without its measurements. */
function bypassOf(variant: SweptVariant): Variant {
  const { memorization: _, control: __, perplexity: ___, tasks: ____, divergence: _____, ...bypass } = variant;
  return bypass;
}

/** Computes the selectivity in some metrics from a sweep with control rows that was checked. */
export function selectivityIn(sweep: SweepResult, metrics: readonly MemorizationMetric[]): Selectivity {
  const drops = new Drops(sweep);
  const forEach = <Value>(of: (metric: MemorizationMetric) => Value) =>
    Object.fromEntries(metrics.map((metric) => [metric, of(metric)])) as Partial<Record<MemorizationMetric, Value>>;
  const compared = chosenMetrics(sweep);
  const { samples, control } = sweep.settings;
  return {
    memorizedRows: samples?.rows ?? 0,
    controlRows: control?.rows ?? 0,
    base: forEach((metric) => ({
      memorized: toInterval(drops.base(metric, "memorized")),
      control: toInterval(drops.base(metric, "control")),
    })),
    variants: sweep.variants.map((variant) => ({
      ...bypassOf(variant),
      metrics: forEach((metric) => drops.toSelectivity(drops.of([variant], metric), metric)),
    })),
    compared,
    deepBlocks: compareDeepBlocks(sweep, drops, compared),
  };
}

/**
 * Computes for each bypass and each metric of a sweep with control rows the drop on the memorized rows, the drop on the
 * control rows, and their difference, the selectivity, with 95 % confidence intervals by bootstrap; and whether the
 * attention of the deep blocks stands out from their MLPs and from random sets of blocks. Throws SWEEP_INVALID, also for
 * a sweep without control rows.
 */
export function selectivity(sweep: AnySweepResult): Selectivity {
  const checked = checkSweep(sweep);
  if (!checked.base.control) {
    throw new AttentionBypassError(
      "SWEEP_INVALID",
      "expected the result of a sweep with control rows for the sweep but it has none; run the sweep with --control " +
        "(control of model.sweep)",
    );
  }
  return withText(selectivityIn(checked, measuredMetrics(checked)), selectivityText);
}
