import { types } from "node:util";
import type { NativeRows } from "../addon/native.js";
import { AttentionBypassError } from "../errors/errors.js";
import { describe, invalidArgument, reading } from "../errors/validation.js";
import type { ModelConfig } from "../families/config.js";
import { largest } from "../statistics/statistics.js";
import type { Tokenizer } from "./tokenizer.js";

/** Token ids of one row. */
export type Tokens = readonly number[] | Int32Array | BigInt64Array;

/** What a caller has given, in a box, since a promise that resolves with it would wait for what looks like a promise. */
export interface Boxed<Value> {
  value: Value;
}

/** What is needed to read what callers give as tokens. */
export interface TokenContext {
  config: ModelConfig;
  tokenizer: Tokenizer | undefined;
}

export function requireTokenizer(tokenizer: Tokenizer | undefined, name: string): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new AttentionBypassError(
    "TOKENIZER_MISSING",
    `expected token ids for ${name} but received text, and the model has no tokenizer; give loadModel one`,
  );
}

/** Zeros in which that many tokens have room. Throws OUT_OF_MEMORY. */
function allocate(count: number, name: string): Int32Array {
  try {
    return new Int32Array(count);
  } catch (error) {
    throw new AttentionBypassError(
      "OUT_OF_MEMORY",
      `expected memory for ${count} tokens of ${name} but there is not so much`,
      { cause: error },
    );
  }
}

/** A file's 64-bit id is read as a bigint, but is no bigint to the person who wrote the file. */
const describeId = (value: unknown) => describe(value).replace(/^(-?\d+)n$/, "$1");

/** Checks ids against a vocabulary. Throws TOKEN_OUT_OF_RANGE, OUT_OF_MEMORY. */
export function toTokenIds(ids: ArrayLike<number | bigint>, config: ModelConfig, name: string): Int32Array {
  return reading(name, () => {
    const count = ids.length;
    // An array may have holes and a length of billions, so there is room when the first id is right.
    let tokens: Int32Array = new Int32Array();
    for (let index = 0; index < count; index++) {
      const value = ids[index];
      const id = typeof value === "bigint" ? Number(value) : value;
      if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= config.vocabularySize) {
        throw new AttentionBypassError(
          "TOKEN_OUT_OF_RANGE",
          `expected token ids from 0 to ${config.vocabularySize - 1} for ${name} but received ` +
            `${describeId(value)} at position ${index}`,
        );
      }
      if (index === 0) tokens = allocate(count, name);
      tokens[index] = id;
    }
    return tokens;
  });
}

/** Whether a value is a typed array of token ids, of whichever realm. */
export function isTypedTokens(value: unknown): value is Int32Array | BigInt64Array {
  return types.isInt32Array(value) || types.isBigInt64Array(value);
}

function isTokens(value: unknown): value is Tokens {
  return Array.isArray(value) || isTypedTokens(value);
}

/** Some tokens, and behind them others. */
export function joinTokens(first: ArrayLike<number>, second: ArrayLike<number>): Int32Array {
  const joined = new Int32Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}

/** How long the longest row is. */
export const longestOf = (rows: readonly Int32Array[]): number => largest(rows.map((row) => row.length));

/** The ids of text, encoded without holding the event loop for long, or of ids. */
export async function encodeOrCheck(
  value: string | Tokens,
  { config, tokenizer }: TokenContext,
  name: string,
  signal?: AbortSignal | undefined,
): Promise<Int32Array> {
  const ids =
    typeof value === "string" ? await requireTokenizer(tokenizer, name).encodeAsync(value, { signal }) : value;
  return toTokenIds(ids, config, name);
}

/** One row of tokens from ids or text; not empty. */
export function toRow(value: unknown, { config, tokenizer }: TokenContext, name: string): Int32Array {
  const ids = typeof value === "string" ? requireTokenizer(tokenizer, name).encode(value) : value;
  if (!reading(name, () => isTokens(ids))) throw invalidArgument(name, "text, or an array of token ids", value);
  const tokens = ids as Tokens;
  if (reading(name, () => tokens.length) === 0) throw invalidArgument(name, "at least one token", value);
  return toTokenIds(tokens, config, name);
}

/** Whether a value is several rows rather than one. */
export function isBatch(value: unknown, name: string): value is readonly unknown[] {
  return reading(name, () => {
    if (!Array.isArray(value) || value.length === 0) return false;
    const kind = typeof value[0];
    return kind !== "number" && kind !== "bigint";
  });
}

/** One row of tokens that the model's context holds. Throws CONTEXT_TOO_LONG. */
export function toContextRow(value: unknown, context: TokenContext, name: string): Int32Array {
  // Before the ids are looked at, which may be billions.
  const given = reading(name, () => (isTokens(value) ? value.length : 0));
  requireContext(given, context.config, name);
  const row = toRow(value, context, name);
  requireContext(row.length, context.config, name);
  return row;
}

/** Several rows that the model's context holds; `name` is what messages call them. */
export function toContextRows(values: readonly unknown[], context: TokenContext, name: string): Int32Array[] {
  const rows: Int32Array[] = [];
  // Not `map`, which leaves out what a sparse array does not have.
  for (let index = 0; index < values.length; index++) {
    const place = `${name}[${index}]`;
    const value = reading(place, () => values[index]);
    rows.push(toContextRow(value, context, place));
  }
  return rows;
}

/** Throws CONTEXT_TOO_LONG where a row does not fit the model's context. */
export function requireContext(length: number, config: ModelConfig, name: string): void {
  if (length <= config.contextLength) return;
  throw new AttentionBypassError(
    "CONTEXT_TOO_LONG",
    `expected at most ${config.contextLength} tokens, the model's context, for ${name} but received ${length}`,
  );
}

/** Rows as the addon takes them. */
export function toNativeRows(rows: readonly Int32Array[]): NativeRows {
  const lengths = Int32Array.from(rows, (row) => row.length);
  const tokens = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  for (const row of rows) {
    tokens.set(row, offset);
    offset += row.length;
  }
  return { tokens, lengths };
}
