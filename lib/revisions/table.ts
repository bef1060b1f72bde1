import { sweepTable } from "../sweep/table.js";
import { measuredRevisions, type RevisionsResult } from "./result.js";

/**
 * Returns a header, then rows for each revision: one for the unmodified model and one for each variant, or one that
 * names the revision with the same weights.
 */
export function revisionsTable(result: RevisionsResult): (string | number)[][] {
  const [first] = measuredRevisions(result);
  const head = first === undefined ? [] : (sweepTable(first.sweep)[0] as string[]);
  const [bypass = "name", ...rest] = head;
  return [
    ["revision", "step", bypass, ...rest, "same weights as"],
    ...result.revisions.flatMap(({ name, step = "", sweep, sameWeightsAs = "" }) =>
      sweep === undefined
        ? [[name, step, ...head.map(() => ""), sameWeightsAs]]
        : sweepTable(sweep)
            .slice(1)
            .map((row) => [name, step, ...row, sameWeightsAs]),
    ),
  ];
}
