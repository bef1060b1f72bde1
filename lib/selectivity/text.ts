import { table, wrap } from "../display/text-form.js";
import { formOf } from "./metrics.js";
import type { Selectivity } from "./result.js";
import { amount, selectivitySentences } from "./sentences.js";

/** Returns a table of the selectivity of each bypass, then the sentences. */
export function selectivityText(selectivity: Selectivity): string {
  const { compared, variants } = selectivity;
  const rows = [
    ["bypass", "mode", ...compared.map((metric) => `selectivity, ${formOf(metric).name}`)],
    ...variants.map(({ name, mode, metrics }) => [
      name,
      mode,
      ...compared.map((metric) => {
        const found = metrics[metric];
        return found ? amount(found.selectivity, metric) : "";
      }),
    ]),
  ];
  return `${table(rows, 2)}\n${selectivitySentences(selectivity)
    .map((sentence) => wrap(sentence))
    .join("\n\n")}\n`;
}
