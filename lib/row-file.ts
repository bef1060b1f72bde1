import { readFile } from "node:fs/promises";
import path from "node:path";
import { AttentionBypassError, systemCode } from "./errors.js";

/** A row of a table: its columns by their names. */
export type Row = Readonly<Record<string, unknown>>;

function unreadable(file: string, error: unknown): AttentionBypassError {
  const code = systemCode(error) === "ENOENT" ? "FILE_NOT_FOUND" : "TASK_INVALID";
  return new AttentionBypassError(code, `expected rows in ${file} but ${(error as Error).message}`, { cause: error });
}

/** 64-bit integers are numbers in JSON too. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}

async function readParquet(file: string): Promise<Row[]> {
  // Only who has such a file waits for what reads it.
  const [{ asyncBufferFromFile, parquetReadObjects }, { compressors }] = await Promise.all([
    import("hyparquet"),
    import("hyparquet-compressors"),
  ]);
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(file), compressors });
  return rows.map((row) => plain(row) as Row);
}

/** Lines of a text file that are not empty, with their numbers from 1. */
export async function readLines(file: string): Promise<[number: number, line: string][]> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw unreadable(file, error);
  });
  return text
    .split("\n")
    .map((line, index): [number, string] => [index + 1, line.trim()])
    .filter(([, line]) => line !== "");
}

async function readJsonLines(file: string): Promise<Row[]> {
  return (await readLines(file)).map(([number, line]) => {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw new AttentionBypassError(
        "TASK_INVALID",
        `expected JSON in line ${number} of ${file} but ${(error as Error).message}`,
      );
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Row;
    throw new AttentionBypassError("TASK_INVALID", `expected an object in line ${number} of ${file}`);
  });
}

/** The rows of a Parquet file (.parquet) or of JSON lines. Throws FILE_NOT_FOUND, TASK_INVALID. */
export async function readRowFile(file: string): Promise<Row[]> {
  if (path.extname(file) !== ".parquet") return readJsonLines(file);
  return readParquet(file).catch((error: unknown) => {
    throw unreadable(file, error);
  });
}
