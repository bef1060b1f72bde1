import { AttentionBypassError } from "../errors/errors.js";
import { isAbortSignal, reading } from "../errors/validation.js";
import type { Boxed, TokenContext, Tokens } from "./tokens.js";

/** Options of encoding the text of a call before the call itself. */
interface EncodeAheadOptions {
  signal?: unknown;
  /** Whether text that is longer than the model's context is an error. */
  fits: boolean;
}

/** Throws CONTEXT_TOO_LONG if a text has so many characters that its tokens cannot fit the model's context. */
function requireFit(text: string, { config, tokenizer }: TokenContext, name: string): void {
  const fewest = tokenizer?.fewestTokens(text.length) ?? 0;
  if (fewest <= config.contextLength) return;
  throw new AttentionBypassError(
    "CONTEXT_TOO_LONG",
    `expected at most ${config.contextLength} tokens, the model's context, for ${name} but received text of ` +
      `${text.length} characters, which are at least ${fewest} tokens`,
  );
}

/**
 * Encodes a text without blocking the event loop. Other values, text without tokens, and text without a tokenizer are
 * returned unchanged, so that the call reports the error. Throws CONTEXT_TOO_LONG, TOKENIZER_INVALID, OUT_OF_MEMORY.
 */
export async function encodeAhead<Value>(
  value: Value,
  context: TokenContext,
  name: string,
  { signal, fits }: EncodeAheadOptions,
): Promise<Boxed<Value | Tokens>> {
  const { tokenizer } = context;
  if (typeof value !== "string" || value === "" || !tokenizer) return { value };
  if (fits) requireFit(value, context, name);
  const ids = await tokenizer.encodeAsync(value, { signal: isAbortSignal(signal) ? signal : undefined });
  return { value: ids.length === 0 ? value : Int32Array.from(ids) };
}

/** Encodes a text, or every text of a list, as `encodeAhead` does. */
export async function encodeAllAhead<Value>(
  value: Value,
  context: TokenContext,
  name: string,
  options: EncodeAheadOptions,
): Promise<Boxed<Value>> {
  if (!reading(name, () => Array.isArray(value))) {
    return (await encodeAhead(value, context, name, options)) as Boxed<Value>;
  }
  const rows = value as readonly unknown[];
  const count = reading(name, () => rows.length);
  // Lists without text return before the first `await`, so that such calls are queued in the order they are made.
  if (!hasText(rows, count)) return { value };
  // Stop at an element that can't be a row: the call reports it, and a sparse array may have billions of holes.
  const encoded: unknown[] = [];
  for (let index = 0; index < count; index++) {
    const row = elementOf(rows, index);
    if (typeof row !== "string" && (typeof row !== "object" || row === null)) return { value };
    encoded.push((await encodeAhead(row, context, `${name}[${index}]`, options)).value);
  }
  return { value: encoded as Value };
}

/** Returns whether a list of rows contains text. */
function hasText(values: readonly unknown[], count: number): boolean {
  for (let index = 0; index < count; index++) {
    const row = elementOf(values, index);
    if (typeof row === "string") return true;
    if (typeof row !== "object" || row === null) return false;
  }
  return false;
}

/** Returns an element; undefined if reading it throws, which the call then reports. */
function elementOf(values: readonly unknown[], index: number): unknown {
  try {
    return values[index];
  } catch {
    return undefined;
  }
}
