import { type FileHandle, open, readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { AttentionBypassError, systemCode } from "./errors.js";
import type { RowScores } from "./scoring.js";

/** What decides a sweep's results, as JSON has it. */
export type CheckpointSettings = Record<string, unknown>;

const format = "attention-bypass sweep, 1";

const fields = ["extractable", "predicted", "decoded", "entropy", "logLikelihood", "schemeLogLikelihood"] as const;

interface Header {
  format: string;
  settings: CheckpointSettings;
  /** The memory budget, which decides what travels together and so the last bits of the results. */
  memory: number;
}

interface Part {
  rows: number[];
  /** Float64, row after row, plan after plan, field after field; in base64, since JSON has no infinity. */
  scores: string;
  operations: number;
  seconds: number;
}

function pack(scores: readonly RowScores[][]): string {
  const numbers = scores.flat().flatMap((row) => fields.map((field) => row[field]));
  return Buffer.from(Float64Array.from(numbers).buffer).toString("base64");
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

/** JSON without what JSON has no word for, so that it equals what was written. */
const plain = (settings: CheckpointSettings): CheckpointSettings => JSON.parse(JSON.stringify(settings));

/**
 * A file of JSON lines that holds what a sweep has done: what it is of, then a line for each batch of rows. A line
 * that was not written to its end, where the process was killed, is taken off again.
 */
export class Checkpoint {
  /** What is done: of each row, its scores under each plan. */
  readonly done = new Map<number, RowScores[]>();
  operations = 0;
  seconds = 0;

  private constructor(
    private readonly file: string,
    private readonly handle: FileHandle,
    readonly memory: number,
  ) {}

  /**
   * Opens a file, or makes it. memory: what is asked for, or the default for a sweep that begins.
   * Throws CHECKPOINT_INVALID, CHECKPOINT_MISMATCH, WRITE_FAILED.
   */
  static async open(
    file: string,
    settings: CheckpointSettings,
    memory: { asked: number | undefined; standard: number },
    planCount: number,
  ): Promise<Checkpoint> {
    const text = await readFile(file, "utf8").catch((error: unknown) => {
      if (systemCode(error) === "ENOENT") return "";
      throw new AttentionBypassError("CHECKPOINT_INVALID", `expected a checkpoint in ${file} but it can't be read`, {
        cause: error,
      });
    });
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole === "" && text !== "" && !text.startsWith(`{"format":"${format.slice(0, 16)}`)) {
      throw new AttentionBypassError(
        "CHECKPOINT_INVALID",
        `expected a checkpoint in ${file} but it holds something else`,
      );
    }
    const lines = whole.split("\n").slice(0, -1);
    const header = lines.length > 0 ? parse<Header>(lines[0] as string, file) : undefined;
    if (header) requireSame(header, settings, file);
    const handle = await open(file, "a").catch((error: Error) => {
      throw writeFailed(file, error);
    });
    const checkpoint = new Checkpoint(file, handle, memory.asked ?? header?.memory ?? memory.standard);
    try {
      for (const line of lines.slice(1)) checkpoint.#take(parse<Part>(line, file), planCount);
      if (whole.length < text.length) await handle.truncate(Buffer.byteLength(whole));
      if (!header) await checkpoint.#write({ format, settings: plain(settings), memory: checkpoint.memory });
      return checkpoint;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  #take(part: Part, planCount: number): void {
    const scores = Array.isArray(part.rows) && typeof part.scores === "string" ? unpack(part, planCount) : undefined;
    if (!scores) {
      throw new AttentionBypassError("CHECKPOINT_INVALID", `expected lines with rows and scores in ${this.file}`);
    }
    for (const [index, row] of part.rows.entries()) this.done.set(row, scores[index] as RowScores[]);
    this.operations += part.operations;
    this.seconds += part.seconds;
  }

  async #write(line: Header | Part): Promise<void> {
    try {
      await this.handle.appendFile(`${JSON.stringify(line)}\n`);
      await this.handle.datasync();
    } catch (error) {
      throw writeFailed(this.file, error as Error);
    }
  }

  /** Keeps rows that are done. */
  async add(
    rows: readonly number[],
    scores: readonly RowScores[][],
    cost: { operations: number; seconds: number },
  ): Promise<void> {
    this.operations += cost.operations;
    this.seconds += cost.seconds;
    await this.#write({ rows: [...rows], scores: pack(scores), ...cost });
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

function writeFailed(file: string, error: Error): AttentionBypassError {
  return new AttentionBypassError("WRITE_FAILED", `expected to write ${file} but ${error.message}`, { cause: error });
}

function parse<Line>(line: string, file: string): Line {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new AttentionBypassError(
      "CHECKPOINT_INVALID",
      `expected JSON lines in ${file} but ${(error as Error).message}`,
    );
  }
}

function requireSame(header: Header, settings: CheckpointSettings, file: string): void {
  if (header.format !== format || typeof header.settings !== "object" || header.settings === null) {
    throw new AttentionBypassError(
      "CHECKPOINT_INVALID",
      `expected a checkpoint of the format "${format}" in ${file} but it is none`,
    );
  }
  const now = plain(settings);
  const names = [...new Set([...Object.keys(now), ...Object.keys(header.settings)])];
  const other = names.filter((name) => !isDeepStrictEqual(now[name], header.settings[name]));
  if (other.length === 0) return;
  throw new AttentionBypassError(
    "CHECKPOINT_MISMATCH",
    `expected ${file} to be of this sweep but it is of one with other settings of: ${other.join(", ")}`,
  );
}
