import { type FileHandle, open } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import * as v from "valibot";
import { AttentionBypassError, systemCode } from "../errors/errors.js";
import { writeFailure, writeOutput } from "../files/output-file.js";
import { withRegularFile } from "../files/regular-file.js";

/** The settings of a call. A resume file is only valid for a call with the same settings. */
export type ResumeSettings = Record<string, unknown>;

const finite = v.pipe(v.number(), v.finite());

/** The fields of every part: its cost. */
export const costFields = { operations: finite, seconds: finite };

/** A finished part of the work, as JSON, with its cost. */
interface Part {
  /** The number of floating-point operations. */
  operations: number;
  seconds: number;
}

/** What the lines of a resume file contain. */
interface ResumeFormat<Line extends Part> {
  /** What is resumed, for messages and the first line: "sweep". */
  work: string;
  part: v.GenericSchema<unknown, Line>;
  /** Reads a part. Returns what is wrong with it, such as "has rows that do not fit this sweep". */
  read(part: Line): string | undefined;
}

/** The memory budget in bytes. It determines the batches and therefore the last bits of the results. */
interface Memory {
  requested: number | undefined;
  default: number;
}

const headerFields = v.object({ format: v.string(), settings: v.record(v.string(), v.unknown()), memory: finite });

const formatOf = (work: string) => `attention-bypass ${work}, 1`;

const toLine = (line: object): string => `${JSON.stringify(line)}\n`;

/** Returns the settings as they are after writing them to JSON and reading them, without undefined values. */
const throughJson = (settings: ResumeSettings): ResumeSettings => JSON.parse(JSON.stringify(settings));

/** Returns the content of a file, or an empty string if there is none. */
async function readExisting(file: string, work: string): Promise<string> {
  const codes = { missing: "FILE_NOT_FOUND", invalid: "RESUME_FILE_INVALID" } as const;
  try {
    return await withRegularFile(file, `the resume file ${file}`, codes, (found) => found.handle.readFile("utf8"));
  } catch (error) {
    if (systemCode(error) === "FILE_NOT_FOUND") return "";
    throw error instanceof AttentionBypassError ? error : invalid(file, work, (error as Error).message);
  }
}

/**
 * A JSON lines file with the finished part of a call: its settings, then one line for each finished part. If the
 * process was killed while it wrote a line, `open` removes the incomplete line.
 */
export class ResumeFile<Line extends Part> {
  operations = 0;
  seconds = 0;

  private constructor(
    private readonly file: string,
    private readonly work: string,
    private readonly handle: FileHandle,
    readonly memory: number,
  ) {}

  /**
   * Opens or creates the file of a call, and reads its parts in order. The memory budget is the requested one, else that
   * of the file, else the default. Throws RESUME_FILE_INVALID, RESUME_FILE_MISMATCH, DISK_FULL, WRITE_FAILED.
   */
  static async open<Line extends Part>(
    file: string,
    { work, part, read }: ResumeFormat<Line>,
    settings: ResumeSettings,
    memory: Memory,
  ): Promise<ResumeFile<Line>> {
    const text = await readExisting(file, work);
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    // The beginning of every such file, including files that were cut off in the first line.
    const beginning = `{"format":"attention-bypass ${work}`;
    if (whole === "" && !text.startsWith(beginning) && !beginning.startsWith(text)) {
      throw invalid(file, work, "the file has another format");
    }
    const [first, ...rest] = whole.split("\n").slice(0, -1);
    const header = first === undefined ? undefined : parse(headerFields, first, file, work);
    if (header && header.format !== formatOf(work)) throw invalid(file, work, "the file has another format");
    if (header) requireSameSettings(header.settings, settings, file, work);
    const parts = rest.map((line) => parse(part, line, file, work));
    for (const [index, one] of parts.entries()) {
      const problem = read(one);
      if (problem !== undefined) throw invalid(file, work, `line ${index + 2} ${problem}`);
    }
    const budget = memory.requested ?? header?.memory ?? memory.default;
    if (!header) {
      await writeOutput(file, toLine({ format: formatOf(work), settings: throughJson(settings), memory: budget }));
    }
    const handle = await open(file, "a").catch((error: unknown) => {
      throw writeFailure(file, error);
    });
    const resumed = new ResumeFile<Line>(file, work, handle, budget);
    for (const { operations, seconds } of parts) {
      resumed.operations += operations;
      resumed.seconds += seconds;
    }
    try {
      if (header && whole.length < text.length) await handle.truncate(Buffer.byteLength(whole));
      return resumed;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Writes a finished part to the file. Throws DISK_FULL, WRITE_FAILED. */
  async add(part: Line): Promise<void> {
    this.operations += part.operations;
    this.seconds += part.seconds;
    try {
      await this.handle.appendFile(toLine(part));
      await this.handle.datasync();
    } catch (error) {
      throw writeFailure(this.file, error);
    }
  }

  /** Returns the error for a part that does not fit the call. */
  invalid(reason: string): AttentionBypassError {
    return invalid(this.file, this.work, reason);
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

function invalid(file: string, work: string, reason: string): AttentionBypassError {
  return new AttentionBypassError(
    "RESUME_FILE_INVALID",
    `expected a resume file of the format "${formatOf(work)}" in ${file} but ${reason}`,
  );
}

function parse<Schema extends v.GenericSchema>(
  schema: Schema,
  line: string,
  file: string,
  work: string,
): v.InferOutput<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw invalid(file, work, (error as Error).message);
  }
  const parsed = v.safeParse(schema, value);
  if (!parsed.success) throw invalid(file, work, "a line has missing or invalid fields");
  return parsed.output;
}

function requireSameSettings(before: ResumeSettings, settings: ResumeSettings, file: string, work: string): void {
  const now = throughJson(settings);
  const names = [...new Set([...Object.keys(now), ...Object.keys(before)])];
  const changed = names.filter((name) => !isDeepStrictEqual(now[name], before[name]));
  if (changed.length === 0) return;
  throw new AttentionBypassError(
    "RESUME_FILE_MISMATCH",
    `expected the resume file ${file} to be of a ${work} with the same settings but these differ: ${changed.join(", ")}`,
  );
}
