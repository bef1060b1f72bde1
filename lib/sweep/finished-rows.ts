import * as v from "valibot";
import { costFields, ResumeFile, type ResumeSettings } from "../operation/resume-file.js";
import type { RowScores } from "../scoring/scored-row.js";

const fields = [
  "extractable",
  "predicted",
  "decoded",
  "entropy",
  "logLikelihood",
  "schemeLogLikelihood",
  "margin",
] as const;

const partFields = v.object({
  rows: v.array(v.number()),
  /** Float64 values in the order row, plan, field, as base64, since JSON has no infinity. */
  scores: v.string(),
  ...costFields,
});

type Part = v.InferOutput<typeof partFields>;

function pack(scores: readonly RowScores[][]): string {
  const numbers = scores.flat().flatMap((row) => fields.map((field) => row[field]));
  return Buffer.from(Float64Array.from(numbers).buffer).toString("base64");
}

/**
 * Returns whether a sweep can have these scores. `schemeLogLikelihood` may be -Infinity under `topK`, and the margin is
 * infinite in a vocabulary of one token.
 */
function isPossible(scores: RowScores): boolean {
  const { extractable, predicted, decoded, entropy, logLikelihood, schemeLogLikelihood, margin } = scores;
  return (
    [extractable, predicted, decoded].every((count) => Number.isSafeInteger(count) && count >= 0) &&
    [entropy, logLikelihood].every(Number.isFinite) &&
    schemeLogLikelihood < Number.POSITIVE_INFINITY &&
    !Number.isNaN(margin)
  );
}

function unpack({ rows, scores }: Part, planCount: number): RowScores[][] | undefined {
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

/** The finished rows of a sweep, in its resume file. */
export class FinishedRows {
  private constructor(
    private readonly file: ResumeFile<Part>,
    /** The scores of the rows under each plan, by row index. */
    readonly scores: ReadonlyMap<number, RowScores[]>,
  ) {}

  /**
   * Opens or creates the resume file of a sweep with the given numbers of rows and plans. Throws RESUME_FILE_INVALID,
   * RESUME_FILE_MISMATCH, DISK_FULL, WRITE_FAILED.
   */
  static async open(
    path: string,
    settings: ResumeSettings,
    memory: { requested: number | undefined; default: number },
    size: { rows: number; plans: number },
  ): Promise<FinishedRows> {
    const finished = new Map<number, RowScores[]>();
    const read = (part: Part): string | undefined => {
      const known = part.rows.every((row) => Number.isInteger(row) && row >= 0 && row < size.rows);
      const scores = unpack(part, size.plans);
      if (!known || !scores) return "has rows or scores that do not fit this sweep";
      if (!scores.flat().every(isPossible)) return "has scores that are not finite numbers";
      for (const [index, row] of part.rows.entries()) finished.set(row, scores[index] as RowScores[]);
      return undefined;
    };
    const file = await ResumeFile.open(path, { work: "sweep", part: partFields, read }, settings, memory);
    return new FinishedRows(file, finished);
  }

  get memory(): number {
    return this.file.memory;
  }

  get operations(): number {
    return this.file.operations;
  }

  get seconds(): number {
    return this.file.seconds;
  }

  /** Saves the scores of finished rows. Throws DISK_FULL, WRITE_FAILED. */
  add(
    rows: readonly number[],
    scores: readonly RowScores[][],
    cost: { operations: number; seconds: number },
  ): Promise<void> {
    return this.file.add({ rows: [...rows], scores: pack(scores), ...cost });
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
