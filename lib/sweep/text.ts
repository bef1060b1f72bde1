import { formatNumber, table } from "../display/text-form.js";
import type { AnySweepResult, SweepResult } from "./result.js";
import { sweepTable } from "./table.js";

/** A line for the unmodified model and each variant, and what it cost. */
export function sweepText(result: AnySweepResult): string {
  const { seconds, operations } = result.cost;
  // The names say the part, and the width of a terminal is short.
  const rows = sweepTable(result as SweepResult).map(([name, _part, ...row]) =>
    [name as string, ...row].map((cell) => (typeof cell === "number" ? formatNumber(cell) : cell)),
  );
  return `${table(rows, 3)}\n${seconds.toFixed(1)} s, ${(operations / 1e12).toPrecision(3)} trillion operations\n`;
}
