import { formOf } from "../selectivity/metrics.js";
import type { Selectivity } from "../selectivity/result.js";
import { amount } from "../selectivity/sentences.js";
import type { ReportTable } from "./report-table.js";

/** Returns a table of the drops on memorized and on control rows and of the selectivity, in each metric. */
export function selectivityTable({ base, variants }: Selectivity): ReportTable {
  const metrics = Object.keys(base) as (keyof typeof base)[];
  return {
    title: "Selectivity: drops on the memorized rows and on the control rows",
    head: [
      "bypass",
      "mode",
      ...metrics.flatMap((metric) => {
        const { name, unit } = formOf(metric);
        return [`${name}, ${unit}: memorized`, "control", "selectivity"];
      }),
    ],
    rows: variants.map(({ name, mode, metrics: found }) => [
      name,
      mode,
      ...metrics.flatMap((metric) => {
        const drops = found[metric];
        if (drops === undefined) return ["", "", ""];
        return [drops.memorized, drops.control, drops.selectivity].map((drop) =>
          amount(drop, metric).replace(` ${formOf(metric).unit}`, ""),
        );
      }),
    ]),
  };
}
