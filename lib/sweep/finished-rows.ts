import * as v from "valibot";
import { share } from "../errors/validation.js";
import { costFields, ResumeFile, type ResumeSettings } from "../operation/resume-file.js";
import type { RowScores } from "../scoring/scored-row.js";
import { isPossible, packScores, unpackScores } from "./packed-scores.js";

const scoredFields = v.object({
  rows: v.array(v.number()),
  /** See `packScores`. */
  scores: v.string(),
  ...costFields,
});

const sampledFields = v.object({
  rows: v.array(v.number()),
  /** The shares of sampled continuations that match, [row][plan]. */
  sampled: v.array(v.array(share)),
  ...costFields,
});

const partFields = v.union([scoredFields, sampledFields]);

/** A line of rows that were scored, or whose continuations were sampled. */
type Part = v.InferOutput<typeof partFields>;

/** The number of rows and plans of a sweep. */
interface SweepSize {
  rows: number;
  plans: number;
}

/** The finished rows of a sweep, in its resume file. */
export class FinishedRows {
  private constructor(
    private readonly file: ResumeFile<Part>,
    /** The scores of the rows under each plan, by row index. */
    readonly scores: ReadonlyMap<number, RowScores[]>,
    /** The shares of matching continuations of rows whose continuations were sampled under each plan, by row index. */
    readonly sampled: ReadonlyMap<number, readonly number[]>,
  ) {}

  /**
   * Opens or creates the resume file of a sweep of this size. Throws RESUME_FILE_INVALID, RESUME_FILE_MISMATCH,
   * DISK_FULL, WRITE_FAILED.
   */
  static async open(
    path: string,
    settings: ResumeSettings,
    memory: { requested: number | undefined; default: number },
    size: SweepSize,
  ): Promise<FinishedRows> {
    const scores = new Map<number, RowScores[]>();
    const sampled = new Map<number, readonly number[]>();
    const misfit = "has rows or scores that do not fit this sweep";
    const read = (part: Part): string | undefined => {
      if (!part.rows.every((row) => Number.isInteger(row) && row >= 0 && row < size.rows)) return misfit;
      if ("sampled" in part) {
        const fits = part.sampled.every(({ length }) => length === size.plans);
        if (part.sampled.length !== part.rows.length || !fits) return misfit;
        for (const [index, row] of part.rows.entries()) sampled.set(row, part.sampled[index] as number[]);
        return undefined;
      }
      const unpacked = unpackScores(part.scores, part.rows.length, size.plans);
      if (!unpacked) return misfit;
      if (!unpacked.flat().every(isPossible)) return "has scores that are not finite numbers";
      for (const [index, row] of part.rows.entries()) scores.set(row, unpacked[index] as RowScores[]);
      return undefined;
    };
    const format = { work: "sweep", version: 2, part: partFields, read };
    return new FinishedRows(await ResumeFile.open(path, format, settings, memory), scores, sampled);
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
    return this.file.add({ rows: [...rows], scores: packScores(scores), ...cost });
  }

  /** Saves the shares of sampled continuations that match, [row][plan]. Throws DISK_FULL, WRITE_FAILED. */
  addSampled(rows: readonly number[], shares: readonly (readonly number[])[], seconds: number): Promise<void> {
    const sampled = shares.map((underPlans) => [...underPlans]);
    return this.file.add({ rows: [...rows], sampled, operations: 0, seconds });
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
