import type { ModelConfig } from "./config.js";
import { AttentionBypassError } from "./errors.js";
import type { NativeRows } from "./native.js";
import type { Tokenizer } from "./tokenizer/tokenizer.js";
import { describe, invalidArgument } from "./validation.js";

/** Token ids of one row. */
export type Tokens = readonly number[] | Int32Array | BigInt64Array;

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

/** Checks ids against a vocabulary. Throws TOKEN_OUT_OF_RANGE. */
export function toTokenIds(ids: ArrayLike<number | bigint>, config: ModelConfig, name: string): Int32Array {
  const tokens = new Int32Array(ids.length);
  for (let index = 0; index < ids.length; index++) {
    const value = ids[index];
    const id = typeof value === "bigint" ? Number(value) : value;
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= config.vocabularySize) {
      throw new AttentionBypassError(
        "TOKEN_OUT_OF_RANGE",
        `expected token ids from 0 to ${config.vocabularySize - 1} for ${name} but received ` +
          `${describe(value)} at position ${index}`,
      );
    }
    tokens[index] = id;
  }
  return tokens;
}

function isTokens(value: unknown): value is Tokens {
  return Array.isArray(value) || value instanceof Int32Array || value instanceof BigInt64Array;
}

/** One row of tokens from ids or text; not empty. */
export function toRow(value: string | Tokens, { config, tokenizer }: TokenContext, name: string): Int32Array {
  let ids: Tokens = value as Tokens;
  if (typeof value === "string") ids = requireTokenizer(tokenizer, name).encode(value);
  else if (!isTokens(value)) throw invalidArgument(name, "text, or an array of token ids", value);
  if (ids.length === 0) throw invalidArgument(name, "at least one token", value);
  return toTokenIds(ids, config, name);
}

/** Whether a value is several rows rather than one. */
export function isBatch<Row extends string | Tokens>(value: Row | readonly Row[]): value is readonly Row[] {
  return Array.isArray(value) && value.length > 0 && typeof value[0] !== "number" && typeof value[0] !== "bigint";
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
