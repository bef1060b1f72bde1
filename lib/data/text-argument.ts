import { stat } from "node:fs/promises";
import * as v from "valibot";
import { invalidArgument, pathText, reading, validate } from "../errors/validation.js";
import type { Boxed } from "../tokenizer/tokens.js";
import { readTextPlace } from "./text.js";

/** A text that is read from a file or folder. */
export interface TextFile {
  /**
   * The path of a UTF-8 text file, or of a folder, whose .txt files are read in the order of their names and joined
   * with an empty line between two files.
   */
  file: string;
}

const schema = v.strictObject({ file: pathText });

/** The length limit of a path on Linux. */
const pathLength = 4096;

function isTokens(value: unknown): boolean {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}

/** Returns whether a text is the path of a file. Such text is an error, because scoring the path is rarely intended. */
export async function isPath(text: string): Promise<boolean> {
  if (text.length > pathLength || /[\n\0]/.test(text)) return false;
  return stat(text).then(
    (found) => found.isFile(),
    () => false,
  );
}

/**
 * Returns text and token ids unchanged, and reads the text of `{ file }`. Throws INVALID_ARGUMENT, FILE_NOT_FOUND,
 * SAMPLES_INVALID.
 */
export async function toText(text: unknown, signal?: AbortSignal): Promise<Boxed<unknown>> {
  if (typeof text === "string") {
    if (!(await isPath(text))) return { value: text };
    throw invalidArgument("text", "{ file } to read the file, or token ids to score the path itself,", text);
  }
  if (reading("text", () => isTokens(text)) || typeof text !== "object" || text === null) return { value: text };
  return { value: await readTextPlace(validate(schema, text, "text").file, signal) };
}
