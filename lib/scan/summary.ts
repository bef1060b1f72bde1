import type { DocumentScan } from "./document-scan.js";
import type { Coverage, Passage, ScanSummary } from "./result.js";
import { sizeOf } from "./spans.js";

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

function coverage(scans: readonly DocumentScan[], plan: number): Coverage {
  const spans = scans.flatMap((scan) => scan.spans()[plan] ?? []);
  return { windows: sum(scans.map(({ found }) => found[plan] ?? 0)), passages: spans.length, ...sizeOf(spans) };
}

/** Returns what a scan found, in numbers. */
export function summarize(scans: readonly DocumentScan[], passages: readonly Passage[], bypasses: number): ScanSummary {
  const own = passages.filter(({ bypass }) => bypass === undefined);
  return {
    documents: scans.length,
    shortDocuments: scans.filter(({ windows }) => windows === 0).length,
    tokens: sum(scans.map(({ tokens }) => tokens)),
    characters: sum(scans.map(({ known }) => known.characters ?? 0)),
    windows: sum(scans.map(({ windows }) => windows)),
    base: coverage(scans, 0),
    bypasses: Array.from({ length: bypasses }, (_, index) => {
      const remaining = own.map((passage) => passage.bypasses[index]?.remaining ?? []);
      return {
        all: coverage(scans, index + 1),
        remaining: { passages: remaining.filter(({ length }) => length > 0).length, ...sizeOf(remaining.flat()) },
        added: passages.filter(({ bypass }) => bypass === index).length,
      };
    }),
  };
}
