import type { MemorizationMetric } from "../metrics/memorization.js";
import { Drops } from "../selectivity/drops.js";
import { chosenMetrics, metricColumn } from "../selectivity/metrics.js";
import { type Bootstrap, type Interval, type Table, toInterval } from "../statistics/bootstrap.js";
import { type SumOfMeans, simultaneousIntervals } from "../statistics/simultaneous.js";
import { mean } from "../statistics/statistics.js";
import type { SweepResult, SweptVariant } from "../sweep/result.js";
import { answers, controlMatches, type MeasuredSweep, matches, type Scores } from "./measured-sweep.js";
import type { Candidate, Recommendation } from "./recommendation.js";

/** The places of the tables that are resampled independently. */
const places = { memorized: 0, control: 1, tasks: 2 };

/** Returns a function that computes a value from the means of each table, and the mean of these values over tables. */
const over = (of: (means: number[]) => number) => (means: number[][]) => mean(means.map(of));
const first = over(([value]) => value as number);
const difference = over(([before, after]) => (before as number) - (after as number));

/** Returns the measurements of the model under one bypass, or without one. */
export function measure(result: Scores, bootstrap: Bootstrap): Recommendation["base"] {
  const control = controlMatches(result);
  return {
    memorization: toInterval(bootstrap.mean(matches(result), places.memorized)),
    ...(control.length > 0 && { control: toInterval(bootstrap.mean(control, places.control)) }),
    ability: bootstrap.interval(
      answers(result).map((column): Table => [column]),
      first,
    ),
    ...(result.perplexity && { perplexity: result.perplexity.perplexity }),
  };
}

const minus = (before: readonly number[], after: readonly number[], factor: number) =>
  before.map((value, index) => factor * (value - (after[index] as number)));

/** The decrease of a column on the memorized rows, minus that on the control rows if there are any. */
function decrease(memorized: [number[], number[]], control: [number[], number[]]): SumOfMeans {
  return [
    { column: minus(...memorized, 1), place: places.memorized },
    ...(control[0].length > 0 ? [{ column: minus(...control, -1), place: places.control }] : []),
  ];
}

/** The loss of accuracy in points, as a mean over the tasks. */
function lossOf(base: Scores, bypassed: Scores): SumOfMeans {
  const after = answers(bypassed);
  return answers(base).map((before, index, { length }) => ({
    column: minus(before, after[index] as number[], 100 / length),
    place: places.tasks + index,
  }));
}

/** The result of a sweep with control rows, and the metric in which selectivity is measured. */
export interface Controlled {
  sweep: SweepResult;
  metric: MemorizationMetric;
}

export const controlledBy = (sweep: SweepResult): Controlled => ({
  sweep,
  metric: chosenMetrics(sweep)[0] ?? "exactMatch",
});

function selectivityOf(bypassed: SweptVariant, { sweep, metric }: Controlled): SumOfMeans {
  const columns = (rows: "memorized" | "control"): [number[], number[]] => [
    metricColumn(sweep.base, rows, metric, sweep),
    metricColumn(bypassed, rows, metric, sweep),
  ];
  return decrease(columns("memorized"), columns("control"));
}

/**
 * Returns the bypasses to choose from, with intervals for each and intervals that hold for all of them at once. Random
 * sets of blocks are left out, since they are there for comparison.
 */
export function candidatesOf(
  { base, variants }: MeasuredSweep,
  controlled: Controlled | undefined,
  bootstrap: Bootstrap,
): Candidate[] {
  const drops = controlled && new Drops(controlled.sweep);
  const listed = variants.flatMap((variant, index) => {
    if (variant.kind === "random") return [];
    return [{ variant, swept: controlled?.sweep.variants[index] }];
  });
  const values = listed.map(({ variant, swept }) => ({
    removed: decrease([matches(base), matches(variant)], [controlMatches(base), controlMatches(variant)]),
    loss: lossOf(base, variant),
    ...(controlled && swept && { selectivity: selectivityOf(swept, controlled) }),
  }));
  // All in one family, because a choice is certain only if all of its intervals hold.
  const intervals = simultaneousIntervals(
    values.flatMap((value) => Object.values(value)),
    bootstrap,
  );
  let next = 0;
  const take = () => intervals[next++] as Interval;
  return listed.map(({ variant, swept }): Candidate => {
    const { memorization: _, control: __, perplexity, tasks: ___, ...bypass } = variant;
    const bypassed = answers(variant);
    const pairs = answers(base).map((column, index): Table => [column, bypassed[index] as number[]]);
    return {
      ...bypass,
      ...measure(variant, bootstrap),
      removed: bootstrap.interval([[matches(base), matches(variant)]], difference),
      loss: bootstrap.interval(pairs, (means) => 100 * difference(means)),
      ...(controlled &&
        swept &&
        drops && { selectivity: toInterval(drops.of([swept], controlled.metric).selectivity) }),
      ...(perplexity &&
        base.perplexity && {
          perplexityIncrease: 100 * (perplexity.perplexity / base.perplexity.perplexity - 1),
        }),
      simultaneous: { removed: take(), loss: take(), ...(swept && { selectivity: take() }) },
    };
  });
}
