import { bypassLabels } from "./labels.js";
import type { ScanResult, ScanSummary } from "./result.js";

/** Returns a header, then a row for each passage. The columns of extraction probabilities are the model and each bypass. */
export function passageTable({ passages, documents, bypasses }: ScanResult): (string | number)[][] {
  const labels = bypassLabels(bypasses);
  return [
    ["document", "found under", "token begin", "token end", "begin", "end", "no bypass", ...labels, "text"],
    ...passages.map((passage) => [
      documents[passage.document]?.name ?? "",
      passage.bypass === undefined ? "no bypass" : (labels[passage.bypass] ?? ""),
      passage.tokenBegin,
      passage.tokenEnd,
      passage.begin ?? "",
      passage.end ?? "",
      passage.base.extractionProbability,
      ...passage.bypasses.map(({ extractionProbability }) => extractionProbability),
      passage.text ?? "",
    ]),
  ];
}

/** Returns a header, then a row for the unmodified model and each bypass: what is found, and what remains of it. */
export function summaryTable({ base, bypasses }: ScanSummary, labels: readonly string[]): (string | number)[][] {
  return [
    ["", "windows", "passages", "characters", "tokens", "passages left", "characters left", "added"],
    ["no bypass", base.windows, base.passages, base.characters, base.tokens, "", "", ""],
    ...bypasses.map(({ all, remaining, added }, index) => [
      labels[index] ?? "",
      all.windows,
      all.passages,
      all.characters,
      all.tokens,
      remaining.passages,
      remaining.characters,
      added,
    ]),
  ];
}
