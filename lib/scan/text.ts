import { table } from "../display/text-form.js";
import { bypassLabels } from "./labels.js";
import type { ScanResult } from "./result.js";
import { summaryTable } from "./table.js";

const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** Returns what was scanned, what was found in numbers, and the cost. */
export function scanText({ summary, bypasses, settings, cost }: ScanResult): string {
  const { documents, shortDocuments, windows } = summary;
  const rows = summaryTable(summary, bypassLabels(bypasses)).map((row) => row.map(String));
  const short = shortDocuments === 0 ? "" : ` (${shortDocuments} shorter than a window)`;
  return (
    `${plural(documents, "document")}${short}, ${plural(windows, "window")} of ${settings.prefixLength} + ` +
    `${settings.suffixLength} tokens, threshold ${settings.threshold}\n\n${table(rows)}\n${cost.seconds.toFixed(1)} s\n`
  );
}
