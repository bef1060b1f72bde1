import { stat } from "node:fs/promises";
import * as v from "valibot";
import { invalidArgument, pathText, reading, validate } from "../errors/validation.js";
import type { Boxed } from "../tokenizer/tokens.js";
import { readTextPlace } from "./text.js";

/** A text that stands in a file. */
export interface TextFile {
  /** The path of a text file in UTF-8, or of a folder whose .txt files are taken in the order of their names. */
  file: string;
}

const schema = v.strictObject({ file: pathText });

/** The longest path that Linux takes. */
const pathLength = 4096;

function isTokens(value: unknown): boolean {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}

/** Whether a text is the path of a file: both readings of it would give a number. */
async function isPath(text: string): Promise<boolean> {
  if (text.length > pathLength || /[\n\0]/.test(text)) return false;
  return stat(text).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** A text or token ids, with the text of a file in place of `{ file }`. Throws INVALID_ARGUMENT, FILE_NOT_FOUND, SAMPLES_INVALID. */
export async function toText(text: unknown, signal?: AbortSignal): Promise<Boxed<unknown>> {
  if (typeof text === "string") {
    if (!(await isPath(text))) return { value: text };
    throw invalidArgument("text", "{ file } to read a file, or token ids to score the name of one,", text);
  }
  if (reading("text", () => isTokens(text)) || typeof text !== "object" || text === null) return { value: text };
  return { value: await readTextPlace(validate(schema, text, "text").file, signal) };
}
