import { formatNumber, table } from "../display/text-form.js";
import { type MemorizationMetric, type MemorizationResult, memorizationMetrics } from "./memorization.js";

/** Returns the means of the measured metrics as a table. */
export function memorizationText(result: MemorizationResult<never> | MemorizationResult): string {
  const measured = memorizationMetrics.filter((metric) => metric in result);
  return table([
    ["metric", result.rows === 1 ? "1 row" : `mean of ${result.rows} rows`],
    ...measured.map((metric) => [metric, formatNumber((result as Record<MemorizationMetric, number>)[metric])]),
  ]);
}
