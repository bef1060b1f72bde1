import * as v from "valibot";
import { wholeNumber } from "../errors/validation.js";
import { costFields, ResumeFile, type ResumeSettings } from "../operation/resume-file.js";
import type { ScanShape } from "./document-scan.js";
import { extractionProbability, type ScoredSuffix } from "./suffix-scores.js";

/** The values of a suffix under one plan: log-likelihood, number of tokens that are never sampled, longest run. */
const fieldCount = 3;

const partFields = v.object({
  windows: wholeNumber(1),
  /** Float64 values in the order window, plan, field, as base64. */
  scores: v.string(),
  /**
   * Float32 log-probabilities in the order window, plan, token, as base64, since JSON has no infinity. Only of windows
   * that are at or above the threshold under some plan, since no others are needed.
   */
  tokens: v.string(),
  ...costFields,
});

type Part = v.InferOutput<typeof partFields>;

const toBase64 = (array: Float64Array | Float32Array) => Buffer.from(array.buffer).toString("base64");

const isFound = (scores: ScoredSuffix, threshold: number) =>
  scores.some((one) => extractionProbability(one) >= threshold);

function pack(scored: readonly ScoredSuffix[], { threshold }: ScanShape): Pick<Part, "windows" | "scores" | "tokens"> {
  const values = scored
    .flat()
    .flatMap(({ logLikelihood, neverSampled, longestRun }) => [logLikelihood, neverSampled, longestRun]);
  const tokens = scored.filter((scores) => isFound(scores, threshold)).flat();
  return {
    windows: scored.length,
    scores: toBase64(Float64Array.from(values)),
    tokens: toBase64(Float32Array.from(tokens.flatMap((one) => Array.from(one.tokens)))),
  };
}

/** Returns the scores of a part, or undefined if a scan of this shape cannot have them. */
function unpack(part: Part, { plans, suffixLength, threshold }: ScanShape): ScoredSuffix[] | undefined {
  const scores = Buffer.from(part.scores, "base64");
  const tokens = Buffer.from(part.tokens, "base64");
  if (scores.length !== 8 * part.windows * plans * fieldCount) return undefined;
  let at = 0;
  const values = () => {
    const row = Array.from({ length: fieldCount }, (_, field) => scores.readDoubleLE(8 * (at + field)));
    at += fieldCount;
    return row as [number, number, number];
  };
  const isCount = (value: number) => Number.isInteger(value) && value >= 0 && value <= suffixLength;
  let read = 0;
  const scored = Array.from({ length: part.windows }, () => {
    const numbers = Array.from({ length: plans }, values);
    const empty = numbers.map(([logLikelihood, neverSampled, longestRun]) => {
      return { logLikelihood, neverSampled, longestRun, tokens: new Float32Array() };
    });
    if (!isFound(empty, threshold)) return empty;
    return empty.map((one) => {
      const length = Math.min(suffixLength, (tokens.length - read) / 4);
      const own = Float32Array.from({ length }, (_, index) => tokens.readFloatLE(read + 4 * index));
      read += 4 * suffixLength;
      return { ...one, tokens: own };
    });
  });
  const possible = scored
    .flat()
    .every(
      (one) =>
        Number.isFinite(one.logLikelihood) &&
        isCount(one.neverSampled) &&
        isCount(one.longestRun) &&
        one.tokens.every((value) => value < Number.POSITIVE_INFINITY),
    );
  return possible && read === tokens.length ? scored : undefined;
}

/** The scored windows of a scan, in its resume file. */
export class FinishedWindows {
  private constructor(
    private readonly file: ResumeFile<Part>,
    private readonly shape: ScanShape,
    private readonly batches: ScoredSuffix[][],
  ) {}

  /** Opens or creates the file. Throws RESUME_FILE_INVALID, RESUME_FILE_MISMATCH, DISK_FULL, WRITE_FAILED. */
  static async open(
    path: string,
    settings: ResumeSettings,
    memory: { requested: number | undefined; default: number },
    shape: ScanShape,
  ): Promise<FinishedWindows> {
    const batches: ScoredSuffix[][] = [];
    const read = (part: Part): string | undefined => {
      const scores = unpack(part, shape);
      if (scores === undefined) return "has scores that do not fit this scan or are not finite numbers";
      batches.push(scores);
      return undefined;
    };
    const file = await ResumeFile.open(path, { work: "scan", version: 1, part: partFields, read }, settings, memory);
    return new FinishedWindows(file, shape, batches);
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

  /**
   * Returns the scores of the next batch with this number of windows; undefined if it is not finished. Throws
   * RESUME_FILE_INVALID if the file has another number.
   */
  next(windows: number): ScoredSuffix[] | undefined {
    const batch = this.batches.shift();
    if (batch !== undefined && batch.length !== windows) {
      throw this.file.invalid(`it has ${batch.length} windows where this scan has ${windows}`);
    }
    return batch;
  }

  /** Saves the scores of a batch. Throws DISK_FULL, WRITE_FAILED. */
  add(scored: readonly ScoredSuffix[], cost: { operations: number; seconds: number }): Promise<void> {
    return this.file.add({ ...pack(scored, this.shape), ...cost });
  }

  close(): Promise<void> {
    return this.file.close();
  }
}
