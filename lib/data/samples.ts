import { types } from "node:util";
import * as v from "valibot";
import { AttentionBypassError, type ErrorCode } from "../errors/errors.js";
import { describe, invalidArgument, pathText, reading } from "../errors/validation.js";
import { fileKind } from "../files/file-kind.js";
import { type ByteSource, InputFile, samplesPurpose } from "../files/input-file.js";
import {
  encodeOrCheck,
  isTypedTokens,
  joinTokens,
  requireContext,
  type TokenContext,
  type Tokens,
  toTokenIds,
} from "../tokenizer/tokens.js";
import { type NpyArray, readNpyHeader, readNpyRows } from "./npy.js";
import { openNpz } from "./npz.js";
import { mostRows } from "./row-limit.js";
import { readRows } from "./rows.js";

/**
 * A sequence to score. `{ prefix, suffix }` has two parts: the model is given the prefix, and the suffix is scored.
 * Token ids and `{ text }` are divided after `prefixLength` tokens. Text requires a tokenizer.
 */
export type SampleRow = Tokens | { prefix: string | Tokens; suffix: string | Tokens } | { text: string | Tokens };

/** Two .npy files of token ids (rows, length). Row i of `suffixes` is the suffix of row i of `prefixes`. */
export interface SamplePair {
  /** The path of the .npy file with the prefixes. */
  prefixes: string;
  /** The path of the .npy file with the suffixes. */
  suffixes: string;
}

/**
 * Sequences to score: an array of rows, the path of a file, or the paths of two files with prefixes and suffixes. A
 * file is an array of integers (rows, length) as .npy or .npz, or rows as JSON lines (plain, gzip or zstd) or Parquet.
 * A row of JSON lines or Parquet is `{ prefix, suffix }`, `{ text }`, `{ tokens }` or `{ input_ids }`, where each value
 * is text or an array of token ids; a JSON line can also be an array of token ids. The first bytes of a file decide its
 * format, not its name.
 */
export type Samples = readonly SampleRow[] | string | SamplePair;

/** A sequence of token ids, and the position at which its suffix begins. */
export interface Sample {
  tokens: Int32Array;
  prefixLength: number;
}

const content = v.union([v.string(), v.array(v.number()), v.custom<Int32Array | BigInt64Array>(isTypedTokens)]);
const wholeKeys = ["text", "tokens", "input_ids"];
const partKeys = ["prefix", "suffix"];
const pairSchema = v.strictObject({ prefixes: pathText, suffixes: pathText });
/** Half of a surrogate pair, which is not a character. */
const loneSurrogate = /\p{Surrogate}/u;
const rowFields = v.union([v.object({ prefix: content, suffix: content }), v.object({ text: content })]);

function requireSuffix(length: number, prefixLength: number | undefined, name: string): number {
  if (prefixLength === undefined) throw invalidArgument("prefixLength", "a whole number from 1 up", prefixLength);
  if (prefixLength < length) return prefixLength;
  throw new AttentionBypassError(
    "PREFIX_TOO_LONG",
    `expected prefixLength to leave a suffix in ${name} of ${length} tokens but received ${prefixLength}`,
  );
}

function split(tokens: Int32Array, prefixLength: number | undefined, name: string): Sample {
  return { tokens, prefixLength: requireSuffix(tokens.length, prefixLength, name) };
}

/** Returns the fields of a row that hold its tokens or text. Throws if there are none, or if they are ambiguous. */
function readFields(row: object, name: string, code: ErrorCode): v.InferOutput<typeof rowFields> {
  const present = (key: string) => Object.hasOwn(row, key) && (row as Record<string, unknown>)[key] !== null;
  const wholes = wholeKeys.filter(present);
  const parts = partKeys.filter(present);
  const readings = [...wholes, ...(parts.length > 0 ? [parts.join(" and ")] : [])];
  if (readings.length > 1) {
    throw new AttentionBypassError(
      code,
      `expected one sequence in ${name} but received ${readings.join(" and ")}; remove all but one`,
    );
  }
  const mask = (row as { attention_mask?: unknown }).attention_mask;
  if (Array.isArray(mask) && !allOnes(mask)) {
    throw new AttentionBypassError(
      code,
      `expected no padding in ${name} but its attention_mask is not 1 everywhere; remove the padding tokens`,
    );
  }
  const [whole] = wholes;
  const given = whole === undefined ? row : { text: (row as Record<string, unknown>)[whole] };
  const fields = v.safeParse(rowFields, given, { abortEarly: true });
  if (fields.success) return fields.output;
  throw new AttentionBypassError(
    code,
    `expected token ids, { prefix, suffix } or { text } for ${name} but received ${shape(row)}`,
  );
}

/** Returns whether all elements are 1. Not `every`, which skips the holes of a sparse array. */
function allOnes(mask: readonly unknown[]): boolean {
  for (const value of mask) if (value !== 1) return false;
  return true;
}

/** Returns a row as a message shows it: the names of its fields. */
function shape(row: object): string {
  const names = Object.keys(row).slice(0, 6);
  return names.length === 0 ? describe(row) : `{ ${names.map((name) => describe(name).slice(1, -1)).join(", ")} }`;
}

/** Converts ids, `{ prefix, suffix }` or `{ text }` to a sample. Other fields are ignored. */
async function toSample(
  row: unknown,
  name: string,
  code: ErrorCode,
  { prefixLength, signal }: SampleOptions,
  context: TokenContext,
): Promise<Sample> {
  if (Array.isArray(row) && row.every((value) => typeof value === "number")) {
    return split(toTokenIds(row, context.config, name), prefixLength, name);
  }
  if (typeof row !== "object" || row === null || Array.isArray(row)) {
    throw new AttentionBypassError(
      code,
      `expected token ids, { prefix, suffix } or { text } for ${name} but received ${describe(row)}`,
    );
  }
  const fields = reading(name, () => readFields(row, name, code));
  const encode = (value: string | Tokens) => {
    if (typeof value === "string" && loneSurrogate.test(value)) {
      throw new AttentionBypassError(
        code,
        `expected text for ${name} but received half of a surrogate pair (\\ud800 to \\udfff), which is not a character; ` +
          "correct the text",
      );
    }
    return encodeOrCheck(value, context, name, signal);
  };
  if ("text" in fields) return split(await encode(fields.text), prefixLength, name);
  const prefix = await encode(fields.prefix);
  const suffix = await encode(fields.suffix);
  if (prefix.length === 0 || suffix.length === 0) {
    throw new AttentionBypassError(code, `expected a prefix and a suffix of at least one token each in ${name}`);
  }
  return joined(prefix, suffix);
}

function joined(prefix: Int32Array, suffix: Int32Array): Sample {
  return { tokens: joinTokens(prefix, suffix), prefixLength: prefix.length };
}

/** Options of reading samples. */
export interface SampleOptions {
  rows?: number | undefined;
  prefixLength?: number | undefined;
  signal?: AbortSignal | undefined;
  /** The name of the argument in error messages. Defaults to "samples". */
  name?: string;
}

/** Returns the number of rows to read from an array. Throws if there are more than `mostRows`. */
function countOf(array: NpyArray, rows: number | undefined, file: InputFile): number {
  const count = Math.min(array.rows, rows ?? array.rows);
  if (count > mostRows) throw tooMany(file);
  return count;
}

function tooMany(file: InputFile): AttentionBypassError {
  return file.refuse(`it has more than ${mostRows} rows`, "read only the first ones with the option `rows`");
}

/** Opens the array of an .npy file, or the only array of an .npz file. */
async function openArray(file: InputFile, kind: "npy" | "zip"): Promise<[source: ByteSource, array: NpyArray]> {
  const source = kind === "zip" ? await openNpz(file) : file;
  return [source, await readNpyHeader(source, (received, advice) => file.refuse(received, advice))];
}

async function readArray(
  file: InputFile,
  kind: "npy" | "zip",
  { rows, prefixLength, signal }: SampleOptions,
  context: TokenContext,
): Promise<Sample[]> {
  const [source, array] = await openArray(file, kind);
  const count = countOf(array, rows, file);
  // All rows have the same length, so it is checked before any row is read.
  if (count > 0) {
    requireSuffix(array.length, prefixLength, `row 0 of ${file.path}`);
    requireContext(array.length, context.config, `row 0 of ${file.path}`);
  }
  const samples: Sample[] = [];
  for await (const row of readNpyRows(source, array, count)) {
    signal?.throwIfAborted();
    const name = `row ${samples.length} of ${file.path}`;
    samples.push(split(toTokenIds(row, context.config, name), prefixLength, name));
  }
  return samples;
}

/** Reads two arrays, as of the extraction benchmark. Row i of the suffixes follows row i of the prefixes. */
async function readPair(pair: SamplePair, { rows, signal }: SampleOptions, context: TokenContext): Promise<Sample[]> {
  await using prefixes = await InputFile.open(pair.prefixes, samplesPurpose);
  await using suffixes = await InputFile.open(pair.suffixes, samplesPurpose);
  const [before, after] = [await openHalf(prefixes), await openHalf(suffixes)];
  const [, { rows: count, length }] = before;
  const [, other] = after;
  if (count !== other.rows) {
    throw suffixes.refuse(
      `it has ${other.rows} rows, and ${pair.prefixes} has ${count}`,
      "give two files with the same number of rows",
    );
  }
  if (length === 0 || other.length === 0)
    throw suffixes.refuse("rows of prefixes and suffixes need at least one token");
  requireContext(length + other.length, context.config, `row 0 of ${pair.prefixes} and ${pair.suffixes}`);
  const taken = countOf(before[1], rows, prefixes);
  const ends = readNpyRows(...after, taken);
  const samples: Sample[] = [];
  for await (const row of readNpyRows(...before, taken)) {
    signal?.throwIfAborted();
    const { value } = await ends.next();
    const place = `row ${samples.length} of`;
    const prefix = toTokenIds(row, context.config, `${place} ${pair.prefixes}`);
    samples.push(joined(prefix, toTokenIds(value ?? [], context.config, `${place} ${pair.suffixes}`)));
  }
  return samples;
}

async function openHalf(file: InputFile): Promise<[ByteSource, NpyArray]> {
  const kind = await fileKind(file);
  if (kind === "npy" || kind === "zip") return openArray(file, kind);
  throw file.refuse(
    `it is ${kind}, not an array of token ids`,
    "give two .npy files, or one file with a prefix and a suffix in each row",
  );
}

async function readFile(path: string, options: SampleOptions, context: TokenContext): Promise<Sample[]> {
  await using file = await InputFile.open(path, samplesPurpose);
  const kind = await fileKind(file);
  if (kind === "npy" || kind === "zip") return await readArray(file, kind, options, context);
  const samples: Sample[] = [];
  for await (const { name, value } of readRows(file, options.rows, options.signal)) {
    if (samples.length === mostRows) throw tooMany(file);
    samples.push(await toSample(value, name, "SAMPLES_INVALID", options, context));
  }
  return samples;
}

/**
 * Reads the first `rows` rows of samples, or all if `rows` is undefined. Throws INVALID_ARGUMENT, FILE_NOT_FOUND,
 * SAMPLES_INVALID, PREFIX_TOO_LONG, TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING, CONTEXT_TOO_LONG.
 */
export async function readSamples(samples: unknown, options: SampleOptions, context: TokenContext): Promise<Sample[]> {
  const { rows, prefixLength, name: argument = "samples" } = options;
  if (typeof samples === "string") return readFile(samples, options, context);
  if (!reading(argument, () => Array.isArray(samples))) {
    const pair = reading(argument, () => v.safeParse(pairSchema, samples));
    if (pair.success) return readPair(pair.output, options, context);
    throw invalidArgument(argument, "rows, the path of a file, or { prefixes, suffixes } with two paths", samples);
  }
  const given = samples as readonly SampleRow[];
  const count = reading(argument, () => given.length);
  const read: Sample[] = [];
  // Not `map`, which skips the holes of a sparse array.
  for (let index = 0; index < Math.min(count, rows ?? count); index++) {
    const name = `${argument}[${index}]`;
    const row: unknown = reading(name, () => given[index]);
    const ids = reading(name, () => Array.isArray(row) || types.isTypedArray(row));
    read.push(
      ids
        ? split(toTokenIds(row as ArrayLike<number | bigint>, context.config, name), prefixLength, name)
        : await toSample(row, name, "INVALID_ARGUMENT", options, context),
    );
  }
  return read;
}
