import type { RowScores } from "../scoring/scored-row.js";

const fields = [
  "extractable",
  "predicted",
  "decoded",
  "editDistance",
  "commonSubsequence",
  "entropy",
  "logLikelihood",
  "schemeLogLikelihood",
  "margin",
] as const;

/** Returns scores as float64 values in the order row, plan, field, as base64, since JSON has no infinity. */
export function packScores(scores: readonly RowScores[][]): string {
  const numbers = scores.flat().flatMap((row) => fields.map((field) => row[field]));
  return Buffer.from(Float64Array.from(numbers).buffer).toString("base64");
}

/** Returns packed scores, [row][plan], or undefined if there is another number of them. */
export function unpackScores(packed: string, rowCount: number, planCount: number): RowScores[][] | undefined {
  const bytes = Buffer.from(packed, "base64");
  if (bytes.length !== 8 * rowCount * planCount * fields.length) return undefined;
  const number = (index: number) => bytes.readDoubleLE(8 * index);
  return Array.from({ length: rowCount }, (_, row) =>
    Array.from({ length: planCount }, (_, plan) => {
      const begin = (row * planCount + plan) * fields.length;
      return Object.fromEntries(fields.map((field, index) => [field, number(begin + index)])) as unknown as RowScores;
    }),
  );
}

/**
 * Returns whether a sweep can have these scores. `schemeLogLikelihood` may be -Infinity under `topK`, and the margin is
 * infinite in a vocabulary of one token.
 */
export function isPossible(scores: RowScores): boolean {
  const { entropy, logLikelihood, schemeLogLikelihood, margin, tokens: _, ...counts } = scores;
  return (
    Object.values(counts).every((count) => Number.isSafeInteger(count) && count >= 0) &&
    [entropy, logLikelihood].every(Number.isFinite) &&
    schemeLogLikelihood < Number.POSITIVE_INFINITY &&
    !Number.isNaN(margin)
  );
}
