import { type FileHandle, open } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import * as v from "valibot";
import { AttentionBypassError, systemCode } from "../errors/errors.js";
import { writeFailure, writeOutput } from "../files/output-file.js";
import { withRegularFile } from "../files/regular-file.js";
import type { RowScores } from "../scoring/scored-row.js";

/** The settings of a sweep. A resume file is only valid for a sweep with the same settings. */
export type ResumeSettings = Record<string, unknown>;

const format = "attention-bypass sweep, 1";

const fields = [
  "extractable",
  "predicted",
  "decoded",
  "entropy",
  "logLikelihood",
  "schemeLogLikelihood",
  "margin",
] as const;

/** The beginning of every resume file, including files that were cut off in the first line. */
const beginning = `{"format":"attention-bypass sweep`;

const finite = v.pipe(v.number(), v.finite());

const headerFields = v.object({
  format: v.literal(format),
  settings: v.record(v.string(), v.unknown()),
  /** The memory budget in bytes. It determines the batches and therefore the last bits of the results. */
  memory: finite,
});

const partFields = v.object({
  rows: v.array(v.number()),
  /** Float64 values in the order row, plan, field, as base64, since JSON has no infinity. */
  scores: v.string(),
  operations: finite,
  seconds: finite,
});

type Header = v.InferOutput<typeof headerFields>;
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

const toLine = (line: Header | Part): string => `${JSON.stringify(line)}\n`;

/** Returns the settings as they are after writing them to JSON and reading them, without undefined values. */
const throughJson = (settings: ResumeSettings): ResumeSettings => JSON.parse(JSON.stringify(settings));

/** Returns the content of a file, or an empty string if there is none. */
async function readExisting(file: string): Promise<string> {
  const codes = { missing: "FILE_NOT_FOUND", invalid: "RESUME_FILE_INVALID" } as const;
  try {
    return await withRegularFile(file, `the resume file ${file}`, codes, (found) => found.handle.readFile("utf8"));
  } catch (error) {
    if (systemCode(error) === "FILE_NOT_FOUND") return "";
    throw error instanceof AttentionBypassError ? error : invalid(file, (error as Error).message);
  }
}

/**
 * A JSON lines file with the finished part of a sweep: its settings, then one line for each batch of scored rows. If
 * the process was killed while it wrote a line, `open` removes the incomplete line.
 */
export class ResumeFile {
  /** The scores of the finished rows under each plan, by row index. */
  readonly done = new Map<number, RowScores[]>();
  operations = 0;
  seconds = 0;

  private constructor(
    private readonly file: string,
    private readonly handle: FileHandle,
    readonly memory: number,
  ) {}

  /**
   * Opens or creates the file of a sweep with the given numbers of rows and plans. The memory budget is the requested
   * one, else that of the file, else the default. Throws RESUME_FILE_INVALID, RESUME_FILE_MISMATCH, DISK_FULL,
   * WRITE_FAILED.
   */
  static async open(
    file: string,
    settings: ResumeSettings,
    memory: { requested: number | undefined; default: number },
    size: { rows: number; plans: number },
  ): Promise<ResumeFile> {
    const text = await readExisting(file);
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole === "" && !text.startsWith(beginning) && !beginning.startsWith(text)) {
      throw invalid(file, "the file has another format");
    }
    const [first, ...rest] = whole.split("\n").slice(0, -1);
    const header = first === undefined ? undefined : parse(headerFields, first, file);
    if (header) requireSameSettings(header.settings, settings, file);
    const parts = rest.map((line) => parse(partFields, line, file));
    const budget = memory.requested ?? header?.memory ?? memory.default;
    if (!header) await writeOutput(file, toLine({ format, settings: throughJson(settings), memory: budget }));
    const handle = await open(file, "a").catch((error: unknown) => {
      throw writeFailure(file, error);
    });
    const resumed = new ResumeFile(file, handle, budget);
    try {
      for (const [index, part] of parts.entries()) resumed.#read(part, size, index + 2);
      if (header && whole.length < text.length) await handle.truncate(Buffer.byteLength(whole));
      return resumed;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  #read(part: Part, size: { rows: number; plans: number }, line: number): void {
    const known = part.rows.every((row) => Number.isInteger(row) && row >= 0 && row < size.rows);
    const scores = unpack(part, size.plans);
    if (!known || !scores) throw invalid(this.file, `line ${line} has rows or scores that do not fit this sweep`);
    if (!scores.flat().every(isPossible))
      throw invalid(this.file, `line ${line} has scores that are not finite numbers`);
    for (const [index, row] of part.rows.entries()) this.done.set(row, scores[index] as RowScores[]);
    this.operations += part.operations;
    this.seconds += part.seconds;
  }

  /** Writes the scores of finished rows to the file. Throws DISK_FULL, WRITE_FAILED. */
  async add(
    rows: readonly number[],
    scores: readonly RowScores[][],
    cost: { operations: number; seconds: number },
  ): Promise<void> {
    this.operations += cost.operations;
    this.seconds += cost.seconds;
    try {
      await this.handle.appendFile(toLine({ rows: [...rows], scores: pack(scores), ...cost }));
      await this.handle.datasync();
    } catch (error) {
      throw writeFailure(this.file, error);
    }
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

function invalid(file: string, reason: string): AttentionBypassError {
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
    throw invalid(file, (error as Error).message);
  }
  const parsed = v.safeParse(schema, value);
  if (!parsed.success) throw invalid(file, "a line has missing or invalid fields");
  return parsed.output;
}

function requireSameSettings(before: ResumeSettings, settings: ResumeSettings, file: string): void {
  const now = throughJson(settings);
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])];
  const changed = names.filter((name) => !isDeepStrictEqual(now[name], before[name]));
  if (changed.length === 0) return;
  throw new AttentionBypassError(
    "RESUME_FILE_MISMATCH",
    `expected the resume file ${file} to be of a sweep with the same settings but these differ: ${changed.join(", ")}`,
  );
}
