import { formatNumber, table } from "../display/text-form.js";
import type { AnySweepResult, SweepResult } from "./result.js";
import { sweepTable } from "./table.js";

/** Returns a table with a row for the unmodified model and each variant, and the cost of the sweep. */
export function sweepText(result: AnySweepResult): string {
  const { seconds, operations } = result.cost;
  // Without the column "part", since names contain it and terminals are narrow.
  const rows = sweepTable(result as SweepResult).map(([name, _part, ...row]) =>
    [name as string, ...row].map((cell) => (typeof cell === "number" ? formatNumber(cell) : cell)),
  );
  return `${table(rows, 3)}\n${seconds.toFixed(1)} s, ${(operations / 1e12).toPrecision(3)} trillion operations\n`;
}
