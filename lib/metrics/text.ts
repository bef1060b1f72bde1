import { formatNumber, table } from "../display/text-form.js";
import type { MemorizationResult } from "./memorization.js";
import { type MemorizationScores, memorizationMetrics } from "./memorization-scores.js";

/** Returns the means of the measured metrics as a table. */
export function memorizationText(result: MemorizationResult<never>): string {
  const measured = memorizationMetrics.filter((metric) => metric in result);
  return table([
    ["metric", result.rows === 1 ? "1 row" : `mean of ${result.rows} rows`],
    ...measured.map((metric) => [metric, formatNumber((result as Partial<MemorizationScores>)[metric] as number)]),
  ]);
}
