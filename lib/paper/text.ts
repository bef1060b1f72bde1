import { formatNumber, table } from "../display/text-form.js";
import { mean } from "../statistics/statistics.js";
import type { SweepScores } from "../sweep/result.js";
import type { PaperMetric, PaperResult } from "./result.js";

/** Returns a table with a row for each unmodified model and each of its quarters of the blocks, and the cost. */
export function paperText({ models }: PaperResult): string {
  const cells = ({ memorization, tasks = {} }: SweepScores<PaperMetric>) =>
    [
      memorization?.exactMatch,
      memorization?.completionEntropy,
      mean(Object.values(tasks).map((one) => one.accuracy)),
    ].map((value) => (value === undefined || !Number.isFinite(value) ? "" : formatNumber(value)));
  const rows = models.flatMap(({ name, sweep: { base, variants } }) => [
    [name, "base", "", ...cells(base)],
    ...variants
      .filter(({ kind }) => kind === "quartile")
      .map((variant) => [name, variant.name, variant.mode, ...cells(variant)]),
  ]);
  const seconds = models.reduce((sum, { sweep }) => sum + sweep.cost.seconds, 0);
  const head = ["model", "bypass", "mode", "exactMatch", "entropy", "accuracy"];
  return `${table([head, ...rows], 3)}\n${seconds.toFixed(1)} s\n`;
}
