import { formatNumber, table } from "../display/text-form.js";
import type { BenchmarkResult } from "./benchmark.js";

const taskMetrics = ["accuracy", "normalizedAccuracy", "perplexity"] as const;

/** Returns a table with a line for each task and metric. */
export function benchmarkText(result: BenchmarkResult): string {
  const rows = Object.entries(result).flatMap(([name, scores]) =>
    taskMetrics.flatMap((metric) => {
      const value = scores[metric];
      const error = scores.standardErrors[metric];
      return value === undefined
        ? []
        : [[name, metric, formatNumber(value), error === undefined ? "" : `± ${formatNumber(error)}`]];
    }),
  );
  return table([["task", "metric", "value", "standard error"], ...rows]);
}
