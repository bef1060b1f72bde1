import { describe } from "../errors/validation.js";
import { fileKind } from "../files/file-kind.js";
import type { InputFile } from "../files/input-file.js";
import { type Line, readLines } from "../files/lines.js";
import { readParquet } from "./parquet.js";

/** A row of a file, with a name for messages such as "line 3 of rows.jsonl". */
export interface NamedRow {
  name: string;
  value: unknown;
}

function parse(file: InputFile, { number, text }: Line): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const isArray = number === 1 && text.trim() === "[";
    throw file.refuse(
      `line ${number} is not JSON (${(error as Error).message}): ${describe(text)}`,
      isArray ? "write one row per line: jq -c '.[]' FILE > NEW" : "write JSON lines, one row per line",
    );
  }
}

/**
 * Yields the first `limit` rows of a file, or all rows if `limit` is undefined. The first bytes of the file decide
 * whether it is read as Parquet or as JSON lines.
 */
export async function* readRows(
  file: InputFile,
  limit: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<NamedRow, void, void> {
  const kind = await fileKind(file);
  if (kind === "parquet") {
    const rows = await readParquet(file, limit, signal);
    for (const [index, value] of rows.entries()) yield { name: `row ${index} of ${file.path}`, value };
    return;
  }
  if (kind === "npy" || kind === "zip") {
    throw file.refuse(
      `it is a${kind === "npy" ? " numpy array" : " zip archive"}`,
      "write it as JSON lines or Parquet",
    );
  }
  let count = 0;
  if (limit === 0) return;
  for await (const line of readLines(file, signal)) {
    yield { name: `line ${line.number} of ${file.path}`, value: parse(file, line) };
    if (++count === limit) return;
  }
}
