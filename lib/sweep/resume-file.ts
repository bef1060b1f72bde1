import { type FileHandle, open } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import * as v from "valibot";
import { AttentionBypassError, systemCode } from "../errors/errors.js";
import { writeFailure, writeOutput } from "../files/output-file.js";
import { withRegularFile } from "../files/regular-file.js";
import type { RowScores } from "../scoring/scored-row.js";

/** What decides a sweep's results, as JSON has it. */
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

/** How every such file begins, one that was cut off at once included. */
const beginning = `{"format":"attention-bypass sweep`;

const finite = v.pipe(v.number(), v.finite());

const headerFields = v.object({
  format: v.literal(format),
  settings: v.record(v.string(), v.unknown()),
  /** The memory budget, which decides what is scored together and so the last bits of the results. */
  memory: finite,
});

const partFields = v.object({
  rows: v.array(v.number()),
  /** Float64, row after row, plan after plan, field after field; in base64, since JSON has no infinity. */
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
 * Whether these are scores that a sweep can have: under `topK` a token may have no probability at all, and in a vocabulary
 * of one token the margin is infinite.
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

/** JSON without what JSON has no word for, so that it equals what was written. */
const plain = (settings: ResumeSettings): ResumeSettings => JSON.parse(JSON.stringify(settings));

/** Returns the content of a file, or an empty string if there is none. */
async function readExisting(file: string): Promise<string> {
  const codes = { missing: "FILE_NOT_FOUND", invalid: "RESUME_FILE_INVALID" } as const;
  try {
    return await withRegularFile(file, `the file to resume a sweep from, ${file},`, codes, (found) =>
      found.handle.readFile("utf8"),
    );
  } catch (error) {
    if (systemCode(error) === "FILE_NOT_FOUND") return "";
    throw error instanceof AttentionBypassError ? error : invalid(file, (error as Error).message);
  }
}

/**
 * A file of JSON lines that holds what a sweep has done: what it is of, then a line for each batch of rows. A line
 * that was not written to its end, where the process was killed, is taken off again.
 */
export class ResumeFile {
  /** The scores under each plan of the rows that are done, by the index of the row. */
  readonly done = new Map<number, RowScores[]>();
  operations = 0;
  seconds = 0;

  private constructor(
    private readonly file: string,
    private readonly handle: FileHandle,
    readonly memory: number,
  ) {}

  /**
   * Opens a file, or makes it, for a sweep of so many rows and plans. memory: what is asked for, or the default for a
   * sweep that begins. Throws RESUME_FILE_INVALID, RESUME_FILE_MISMATCH, DISK_FULL, WRITE_FAILED.
   */
  static async open(
    file: string,
    settings: ResumeSettings,
    memory: { asked: number | undefined; standard: number },
    size: { rows: number; plans: number },
  ): Promise<ResumeFile> {
    const text = await readExisting(file);
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole === "" && !text.startsWith(beginning) && !beginning.startsWith(text)) {
      throw invalid(file, "it holds something else");
    }
    const [first, ...rest] = whole.split("\n").slice(0, -1);
    const header = first === undefined ? undefined : parse(headerFields, first, file);
    if (header) requireSame(header.settings, settings, file);
    const parts = rest.map((line) => parse(partFields, line, file));
    const budget = memory.asked ?? header?.memory ?? memory.standard;
    if (!header) await writeOutput(file, toLine({ format, settings: plain(settings), memory: budget }));
    const handle = await open(file, "a").catch((error: unknown) => {
      throw writeFailure(file, error);
    });
    const resumed = new ResumeFile(file, handle, budget);
    try {
      for (const [index, part] of parts.entries()) resumed.#take(part, size, index + 2);
      if (header && whole.length < text.length) await handle.truncate(Buffer.byteLength(whole));
      return resumed;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  #take(part: Part, size: { rows: number; plans: number }, line: number): void {
    const known = part.rows.every((row) => Number.isInteger(row) && row >= 0 && row < size.rows);
    const scores = unpack(part, size.plans);
    if (!known || !scores) throw invalid(this.file, "a line has other rows or scores");
    if (!scores.flat().every(isPossible)) throw invalid(this.file, `line ${line} has scores that are no numbers`);
    for (const [index, row] of part.rows.entries()) this.done.set(row, scores[index] as RowScores[]);
    this.operations += part.operations;
    this.seconds += part.seconds;
  }

  /** Keeps rows that are done. */
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
    `expected a file to resume a sweep from, of the format "${format}", in ${file} but ${reason}`,
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
  if (!parsed.success) throw invalid(file, "a line is of another form");
  return parsed.output;
}

function requireSame(before: ResumeSettings, settings: ResumeSettings, file: string): void {
  const now = plain(settings);
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])];
  const other = names.filter((name) => !isDeepStrictEqual(now[name], before[name]));
  if (other.length === 0) return;
  throw new AttentionBypassError(
    "RESUME_FILE_MISMATCH",
    `expected ${file} to be of this sweep but it is of one with other settings of: ${other.join(", ")}`,
  );
}
