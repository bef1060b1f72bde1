import { type FileHandle, open } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { AttentionBypassError, systemCode } from "../errors/errors.js";
import { writeFailure, writeOutput } from "../files/output-file.js";
import { withRegularFile } from "../files/regular-file.js";
import type { RowScores } from "../scoring/scored-row.js";
import {
  beginning,
  hasRows,
  invalidResumeFile,
  isPossible,
  type Part,
  packScores,
  parseHeader,
  parsePart,
  type SweepSize,
  toLine,
  unpackScores,
} from "./resume-lines.js";

/** The settings of a sweep. A resume file is only valid for a sweep with the same settings. */
export type ResumeSettings = Record<string, unknown>;

/** Returns the settings as they are after writing them to JSON and reading them, without undefined values. */
const throughJson = (settings: ResumeSettings): ResumeSettings => JSON.parse(JSON.stringify(settings));

/** Returns the content of a file, or an empty string if there is none. */
async function readExisting(file: string): Promise<string> {
  const codes = { missing: "FILE_NOT_FOUND", invalid: "RESUME_FILE_INVALID" } as const;
  try {
    return await withRegularFile(file, `the resume file ${file}`, codes, (found) => found.handle.readFile("utf8"));
  } catch (error) {
    if (systemCode(error) === "FILE_NOT_FOUND") return "";
    throw error instanceof AttentionBypassError ? error : invalidResumeFile(file, (error as Error).message);
  }
}

/**
 * A JSON lines file with the finished part of a sweep: its settings, then one line for each batch of scored or sampled rows. If
 * the process was killed while it wrote a line, `open` removes the incomplete line.
 */
export class ResumeFile {
  /** The scores of the finished rows under each plan, by row index. */
  readonly done = new Map<number, RowScores[]>();
  /** The shares of matching continuations of rows whose continuations were sampled under each plan, by row index. */
  readonly sampled = new Map<number, readonly number[]>();
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
    size: SweepSize,
  ): Promise<ResumeFile> {
    const text = await readExisting(file);
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole === "" && !text.startsWith(beginning) && !beginning.startsWith(text)) {
      throw invalidResumeFile(file, "the file has another format");
    }
    const [first, ...rest] = whole.split("\n").slice(0, -1);
    const header = first === undefined ? undefined : parseHeader(first, file);
    if (header) requireSameSettings(header.settings, settings, file);
    const parts = rest.map((line) => parsePart(line, file));
    const budget = memory.requested ?? header?.memory ?? memory.default;
    if (!header) await writeOutput(file, toLine({ settings: throughJson(settings), memory: budget }));
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

  #read(part: Part, size: SweepSize, line: number): void {
    const misfit = () => invalidResumeFile(this.file, `line ${line} has rows or scores that do not fit this sweep`);
    if (!hasRows(part, size)) throw misfit();
    if ("sampled" in part) {
      const fits =
        part.sampled.length === part.rows.length && part.sampled.every(({ length }) => length === size.plans);
      if (!fits) throw misfit();
      for (const [index, row] of part.rows.entries()) this.sampled.set(row, part.sampled[index] as number[]);
    } else {
      const scores = unpackScores(part, size.plans);
      if (!scores) throw misfit();
      if (!scores.flat().every(isPossible)) {
        throw invalidResumeFile(this.file, `line ${line} has scores that are not finite numbers`);
      }
      for (const [index, row] of part.rows.entries()) this.done.set(row, scores[index] as RowScores[]);
      this.operations += part.operations;
    }
    this.seconds += part.seconds;
  }

  /** Writes the scores of finished rows to the file. Throws DISK_FULL, WRITE_FAILED. */
  async add(
    rows: readonly number[],
    scores: readonly RowScores[][],
    cost: { operations: number; seconds: number },
  ): Promise<void> {
    this.operations += cost.operations;
    await this.#write({ rows: [...rows], scores: packScores(scores), ...cost });
  }

  /**
   * Writes the shares of sampled continuations that match, [row][plan], to the file. Throws DISK_FULL, WRITE_FAILED.
   */
  async addSampled(rows: readonly number[], shares: readonly (readonly number[])[], seconds: number): Promise<void> {
    await this.#write({ rows: [...rows], sampled: shares.map((underPlans) => [...underPlans]), seconds });
  }

  async #write(part: Part): Promise<void> {
    this.seconds += part.seconds;
    try {
      await this.handle.appendFile(toLine(part));
      await this.handle.datasync();
    } catch (error) {
      throw writeFailure(this.file, error);
    }
  }

  close(): Promise<void> {
    return this.handle.close();
  }
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
