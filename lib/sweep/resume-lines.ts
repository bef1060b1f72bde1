import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { share } from "../errors/validation.js";
import type { RowScores } from "../scoring/scored-row.js";

/** The number changes with the fields of the lines. */
const format = "attention-bypass sweep, 2";

/** The beginning of every resume file, including files that were cut off in the first line. */
export const beginning = `{"format":"attention-bypass sweep`;

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

const finite = v.pipe(v.number(), v.finite());

const headerFields = v.object({
  format: v.literal(format),
  settings: v.record(v.string(), v.unknown()),
  /** The memory budget in bytes. It determines the batches and therefore the last bits of the results. */
  memory: finite,
});

const scoredFields = v.object({
  rows: v.array(v.number()),
  /** Float64 values in the order row, plan, field, as base64, since JSON has no infinity. */
  scores: v.string(),
  operations: finite,
  seconds: finite,
});

const sampledFields = v.object({
  rows: v.array(v.number()),
  /** The shares of sampled continuations that match, [row][plan]. */
  sampled: v.array(v.array(share)),
  seconds: finite,
});

const partFields = v.union([scoredFields, sampledFields]);

export type Header = v.InferOutput<typeof headerFields>;
/** A line of rows that were scored, or whose continuations were sampled. */
export type Part = v.InferOutput<typeof partFields>;
type Scored = v.InferOutput<typeof scoredFields>;

/** The number of rows and plans of a sweep. */
export interface SweepSize {
  rows: number;
  plans: number;
}

export function packScores(scores: readonly RowScores[][]): string {
  const numbers = scores.flat().flatMap((row) => fields.map((field) => row[field]));
  return Buffer.from(Float64Array.from(numbers).buffer).toString("base64");
}

/** Returns the scores of a line, [row][plan], or undefined if the line has another number of them. */
export function unpackScores({ rows, scores }: Scored, planCount: number): RowScores[][] | undefined {
  const bytes = Buffer.from(scores, "base64");
  if (bytes.length !== 8 * rows.length * planCount * fields.length) return undefined;
  const number = (index: number) => bytes.readDoubleLE(8 * index);
  return rows.map((_, row) =>
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
  const { entropy, logLikelihood, schemeLogLikelihood, margin, ...counts } = scores;
  return (
    Object.values(counts).every((count) => Number.isSafeInteger(count) && count >= 0) &&
    [entropy, logLikelihood].every(Number.isFinite) &&
    schemeLogLikelihood < Number.POSITIVE_INFINITY &&
    !Number.isNaN(margin)
  );
}

/** Returns whether the rows of a line are rows of the sweep. */
export function hasRows({ rows }: Part, size: SweepSize): boolean {
  return rows.every((row) => Number.isInteger(row) && row >= 0 && row < size.rows);
}

export const toLine = (line: Omit<Header, "format"> | Part): string =>
  `${JSON.stringify("settings" in line ? { format, ...line } : line)}\n`;

export function invalidResumeFile(file: string, reason: string): AttentionBypassError {
  return new AttentionBypassError(
    "RESUME_FILE_INVALID",
    `expected a resume file of the format "${format}" in ${file} but ${reason}`,
  );
}

function parse<Schema extends v.GenericSchema>(schema: Schema, line: string, file: string): v.InferOutput<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw invalidResumeFile(file, (error as Error).message);
  }
  const parsed = v.safeParse(schema, value);
  if (!parsed.success) throw invalidResumeFile(file, "a line has missing or invalid fields");
  return parsed.output;
}

export const parseHeader = (line: string, file: string): Header => parse(headerFields, line, file);

export const parsePart = (line: string, file: string): Part => parse(partFields, line, file);
