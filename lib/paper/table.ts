import type { SweepResult } from "../sweep/result.js";
import { sweepTable } from "../sweep/table.js";
import type { PaperResult } from "./result.js";

/** Returns a header, then rows for each model: one for the unmodified model and one for each bypass. */
export function paperTable({ models }: PaperResult): (string | number)[][] {
  const tables = models.map(({ sweep }) => sweepTable(sweep as unknown as SweepResult));
  return [
    ["model", "parameters", ...(tables[0]?.[0] ?? [])],
    ...models.flatMap(({ name, parameters }, index) =>
      (tables[index] ?? []).slice(1).map((row) => [name, parameters, ...row]),
    ),
  ];
}
