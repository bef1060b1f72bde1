import { AttentionBypassError } from "../errors/errors.js";
import { isAbortSignal, reading } from "../errors/validation.js";
import type { Boxed, TokenContext, Tokens } from "./tokens.js";

/** How text is encoded for a call. */
interface EncodeAheadOptions {
  signal?: unknown;
  /** Whether more tokens than the model's context are refused. */
  fits: boolean;
}

/** Throws CONTEXT_TOO_LONG where a text is so long that it cannot have as few tokens as the model's context. */
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
 * The tokens of a text, encoded without holding the event loop; what is no text, or can't be encoded, is given back as
 * it is for the call to refuse. Throws CONTEXT_TOO_LONG, TOKENIZER_INVALID, OUT_OF_MEMORY.
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

/** Does the same for a text, or for every text of a list. */
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
  // Calls with token ids alone are queued at once, in the order in which they are made.
  if (!hasText(rows, count)) return { value };
  // What a text or a row can't be ends the list: the call refuses it, and an array may be longer than it has elements.
  const encoded: unknown[] = [];
  for (let index = 0; index < count; index++) {
    const row = elementOf(rows, index);
    if (typeof row !== "string" && (typeof row !== "object" || row === null)) return { value };
    encoded.push((await encodeAhead(row, context, `${name}[${index}]`, options)).value);
  }
  return { value: encoded as Value };
}

/** Whether a list of rows has text among them. */
function hasText(values: readonly unknown[], count: number): boolean {
  for (let index = 0; index < count; index++) {
    const row = elementOf(values, index);
    if (typeof row === "string") return true;
    if (typeof row !== "object" || row === null) return false;
  }
  return false;
}

/** An element; undefined where reading it fails, which is for the call to say. */
function elementOf(values: readonly unknown[], index: number): unknown {
  try {
    return values[index];
  } catch {
    return undefined;
  }
}
