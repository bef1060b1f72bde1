import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { types } from "node:util";
import * as v from "valibot";
import { AttentionBypassError, type ErrorCode, systemCode } from "./errors.js";
import { isTypedTokens, joinTokens, requireTokenizer, type TokenContext, type Tokens, toTokenIds } from "./tokens.js";
import { describe, invalidArgument, reading } from "./validation.js";

/**
 * A sequence in two parts, of which the model is given the prefix, or one that `prefixLength` divides. Text needs a
 * tokenizer.
 */
export type SampleRow = Tokens | { prefix: string | Tokens; suffix: string | Tokens } | { text: string | Tokens };

/**
 * Sequences to score, or the path of a file with them: an .npy array of integers (rows, length), or JSON lines of
 * `{ "prefix", "suffix" }` or `{ "text" }`, each of these text or an array of token ids.
 */
export type Samples = readonly SampleRow[] | string;

/** A sequence and where its suffix begins. */
export interface Sample {
  tokens: Int32Array;
  prefixLength: number;
}

const content = v.union([v.string(), v.array(v.number()), v.custom<Int32Array | BigInt64Array>(isTypedTokens)]);
const rowFields = v.union([v.object({ prefix: content, suffix: content }), v.object({ text: content })]);

function unreadable(file: string, error: unknown): AttentionBypassError {
  const code = systemCode(error) === "ENOENT" ? "FILE_NOT_FOUND" : "SAMPLES_INVALID";
  return new AttentionBypassError(code, `expected samples in ${file} but ${(error as Error).message}`, {
    cause: error,
  });
}

function split(tokens: Int32Array, prefixLength: number | undefined, name: string): Sample {
  if (prefixLength === undefined) throw invalidArgument("prefixLength", "a whole number from 1 up", prefixLength);
  if (prefixLength >= tokens.length) {
    throw new AttentionBypassError(
      "PREFIX_TOO_LONG",
      `expected prefixLength to leave a suffix in ${name} of ${tokens.length} tokens but received ${prefixLength}`,
    );
  }
  return { tokens, prefixLength };
}

/** Whole numbers of any width; a row of the array after the other, whichever way they are stored. */
async function readNpy(file: string, rows: number | undefined, context: TokenContext): Promise<Int32Array[]> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw unreadable(file, error);
  });
  const npyjs = await import("npyjs");
  let array: ReturnType<typeof npyjs.parse>;
  try {
    array = npyjs.parse(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  } catch (error) {
    throw unreadable(file, error);
  }
  const [count = 0, length = 0] = array.shape;
  const data = array.data as unknown as ArrayLike<number | bigint>;
  if (!/^[iu][1248]$/.test(array.dtype) || array.shape.length !== 2 || data.length !== count * length) {
    throw new AttentionBypassError(
      "SAMPLES_INVALID",
      `expected an array of integers (rows, length) in ${file} but received ${data.length} values of dtype ` +
        `${array.dtype} for the shape (${array.shape.join(", ")})`,
    );
  }
  const [rowStride, columnStride] = array.fortranOrder ? [1, count] : [length, 1];
  return Array.from({ length: Math.min(count, rows ?? count) }, (_, row) => {
    const ids = Array.from({ length }, (_, column) => data[row * rowStride + column * columnStride] as number | bigint);
    return toTokenIds(ids, context.config, `row ${row} of ${file}`);
  });
}

/** A sample from `{ prefix, suffix }` or `{ text }`; other fields are for those who wrote them. */
function fromFields(
  row: unknown,
  name: string,
  code: ErrorCode,
  prefixLength: number | undefined,
  context: TokenContext,
): Sample {
  const fields = reading(name, () => v.safeParse(rowFields, row, { abortEarly: true }));
  if (!fields.success) {
    throw new AttentionBypassError(
      code,
      `expected token ids, { prefix, suffix } or { text } for ${name} but received ${describe(row)}`,
    );
  }
  const encode = (value: string | Tokens) =>
    toTokenIds(
      typeof value === "string" ? requireTokenizer(context.tokenizer, name).encode(value) : value,
      context.config,
      name,
    );
  if ("text" in fields.output) return split(encode(fields.output.text), prefixLength, name);
  const prefix = encode(fields.output.prefix);
  const suffix = encode(fields.output.suffix);
  if (prefix.length === 0 || suffix.length === 0) {
    throw new AttentionBypassError(code, `expected a prefix and a suffix of at least a token in ${name}`);
  }
  return { tokens: joinTokens(prefix, suffix), prefixLength: prefix.length };
}

function fromLine(line: string, name: string, prefixLength: number | undefined, context: TokenContext): Sample {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (error) {
    throw new AttentionBypassError("SAMPLES_INVALID", `expected JSON in ${name} but ${(error as Error).message}`);
  }
  return fromFields(row, name, "SAMPLES_INVALID", prefixLength, context);
}

async function readLines(
  file: string,
  rows: number | undefined,
  prefixLength: number | undefined,
  context: TokenContext,
): Promise<Sample[]> {
  const samples: Sample[] = [];
  let number = 0;
  let input: ReturnType<typeof createReadStream> | undefined;
  try {
    input = createReadStream(file, "utf8");
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number++;
      if (line.trim() === "") continue;
      if (rows !== undefined && samples.length >= rows) break;
      samples.push(fromLine(line, `line ${number} of ${file}`, prefixLength, context));
    }
  } catch (error) {
    throw error instanceof AttentionBypassError ? error : unreadable(file, error);
  } finally {
    input?.destroy();
  }
  return samples;
}

/**
 * Reads the first rows of samples, all of them where rows is undefined. Throws INVALID_ARGUMENT, FILE_NOT_FOUND,
 * SAMPLES_INVALID, PREFIX_TOO_LONG, TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING.
 */
export async function readSamples(
  samples: Samples,
  { rows, prefixLength }: { rows?: number | undefined; prefixLength?: number | undefined },
  context: TokenContext,
): Promise<Sample[]> {
  if (typeof samples === "string" && samples.endsWith(".npy")) {
    const tokens = await readNpy(samples, rows, context);
    return tokens.map((row, index) => split(row, prefixLength, `row ${index} of ${samples}`));
  }
  if (typeof samples === "string") return readLines(samples, rows, prefixLength, context);
  const count = reading("samples", () => (Array.isArray(samples) ? samples.length : undefined));
  if (count === undefined) throw invalidArgument("samples", "rows, or the path of a file", samples);
  const read: Sample[] = [];
  // Not `map`, which leaves out what a sparse array does not have.
  for (let index = 0; index < Math.min(count, rows ?? count); index++) {
    const name = `samples[${index}]`;
    const row: unknown = reading(name, () => samples[index]);
    const ids = reading(name, () => Array.isArray(row) || types.isTypedArray(row));
    read.push(
      ids
        ? split(toTokenIds(row as ArrayLike<number | bigint>, context.config, name), prefixLength, name)
        : fromFields(row, name, "INVALID_ARGUMENT", prefixLength, context),
    );
  }
  return read;
}
