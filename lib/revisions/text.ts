import { formatNumber, table, wrap } from "../display/text-form.js";
import { doubledRevisions, measuredRevisions, type RevisionsResult } from "./result.js";
import { doubledSentence } from "./sentences.js";
import { revisionsTable } from "./table.js";

/** Returns a table with rows for each revision, the revisions with the same weights, and the cost of the sweeps. */
export function revisionsText(result: RevisionsResult): string {
  // Without the columns "step", "part" and "same weights as": names contain them, and terminals are narrow.
  const rows = revisionsTable({ ...result, revisions: measuredRevisions(result) }).map(
    ([revision, _step, name, _part, ...row]) =>
      [revision, name, ...row.slice(0, -1)].map((cell) => (typeof cell === "number" ? formatNumber(cell) : `${cell}`)),
  );
  const seconds = measuredRevisions(result).reduce((sum, { sweep }) => sum + sweep.cost.seconds, 0);
  const doubled = doubledRevisions(result).map((revision) => `${wrap(doubledSentence(revision))}\n`);
  return `${table(rows, 4)}\n${doubled.join("")}${seconds.toFixed(1)} s\n`;
}
