import { types } from "node:util";
import type { NativeRows } from "../addon/native.js";
import { AttentionBypassError } from "../errors/errors.js";
import { describe, invalidArgument, reading } from "../errors/validation.js";
import type { ModelConfig } from "../families/config.js";
import { largest } from "../statistics/statistics.js";
import type { Tokenizer } from "./tokenizer.js";

/** The token ids of one row. */
export type Tokens = readonly number[] | Int32Array | BigInt64Array;

/**
 * A value of a caller, wrapped in an object: a promise that resolved with the value itself would wait for it if it had
 * a `then` method.
 */
export interface Boxed<Value> {
  value: Value;
}

/** The config and the tokenizer with which tokens or text of a caller are read. */
export interface TokenContext {
  config: ModelConfig;
  tokenizer: Tokenizer | undefined;
}

export function requireTokenizer(tokenizer: Tokenizer | undefined, name: string): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new AttentionBypassError(
    "TOKENIZER_MISSING",
    `expected token ids for ${name} but received text, and the model has no tokenizer; pass one to loadModel`,
  );
}

/** Allocates an array for `count` tokens. Throws OUT_OF_MEMORY. */
function allocate(count: number, name: string): Int32Array {
  try {
    return new Int32Array(count);
  } catch (error) {
    throw new AttentionBypassError(
      "OUT_OF_MEMORY",
      `expected memory for ${count} tokens of ${name} but not enough is available`,
      { cause: error },
    );
  }
}

/** Describes an id without the bigint suffix "n": 64-bit ids of a file are read as bigints. */
const describeId = (value: unknown) => describe(value).replace(/^(-?\d+)n$/, "$1");

/** Checks that ids are in the vocabulary, and returns them. Throws TOKEN_OUT_OF_RANGE, OUT_OF_MEMORY. */
export function toTokenIds(ids: ArrayLike<number | bigint>, config: ModelConfig, name: string): Int32Array {
  return reading(name, () => {
    const count = ids.length;
    // Allocated only after the first id is checked: a sparse array may have a length of billions.
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

/** Returns whether a value is a typed array of token ids, from any realm. */
export function isTypedTokens(value: unknown): value is Int32Array | BigInt64Array {
  return types.isInt32Array(value) || types.isBigInt64Array(value);
}

function isTokens(value: unknown): value is Tokens {
  return Array.isArray(value) || isTypedTokens(value);
}

/** Returns the tokens of `first` followed by those of `second`. */
export function joinTokens(first: ArrayLike<number>, second: ArrayLike<number>): Int32Array {
  const joined = new Int32Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}

/** Returns the length of the longest row. */
export const longestOf = (rows: readonly Int32Array[]): number => largest(rows.map((row) => row.length));

/** Returns the checked token ids of text or ids. Text is encoded without blocking the event loop for long. */
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

/** Returns one row of tokens from ids or text. Throws INVALID_ARGUMENT if it is empty. */
export function toRow(value: unknown, { config, tokenizer }: TokenContext, name: string): Int32Array {
  const ids = typeof value === "string" ? requireTokenizer(tokenizer, name).encode(value) : value;
  if (!reading(name, () => isTokens(ids))) throw invalidArgument(name, "text, or an array of token ids", value);
  const tokens = ids as Tokens;
  if (reading(name, () => tokens.length) === 0) throw invalidArgument(name, "at least one token", value);
  return toTokenIds(tokens, config, name);
}

/** Returns whether a value is an array of rows, not a single row. */
export function isBatch(value: unknown, name: string): value is readonly unknown[] {
  return reading(name, () => {
    if (!Array.isArray(value) || value.length === 0) return false;
    const kind = typeof value[0];
    return kind !== "number" && kind !== "bigint";
  });
}

/** Returns one row of tokens that fits the model's context. Throws CONTEXT_TOO_LONG. */
export function toContextRow(value: unknown, context: TokenContext, name: string): Int32Array {
  // Check the length before reading the ids, because there may be billions.
  const given = reading(name, () => (isTokens(value) ? value.length : 0));
  requireContext(given, context.config, name);
  const row = toRow(value, context, name);
  requireContext(row.length, context.config, name);
  return row;
}

/** Returns rows that fit the model's context. `name` is the name used in error messages. */
export function toContextRows(values: readonly unknown[], context: TokenContext, name: string): Int32Array[] {
  const rows: Int32Array[] = [];
  // Not `map`, which skips the holes of a sparse array.
  for (let index = 0; index < values.length; index++) {
    const place = `${name}[${index}]`;
    const value = reading(place, () => values[index]);
    rows.push(toContextRow(value, context, place));
  }
  return rows;
}

/** Throws CONTEXT_TOO_LONG if a row of `length` tokens does not fit the model's context. */
export function requireContext(length: number, config: ModelConfig, name: string): void {
  if (length <= config.contextLength) return;
  throw new AttentionBypassError(
    "CONTEXT_TOO_LONG",
    `expected at most ${config.contextLength} tokens, the model's context, for ${name} but received ${length}`,
  );
}

/** Converts rows to the addon's form. */
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
