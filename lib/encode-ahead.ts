import { AttentionBypassError } from "./errors.js";
import type { TokenContext, Tokens } from "./tokens.js";

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
): Promise<Value | Tokens> {
  const { tokenizer } = context;
  if (typeof value !== "string" || value === "" || !tokenizer) return value;
  if (fits) requireFit(value, context, name);
  const ids = await tokenizer.encodeAsync(value, { signal: signal instanceof AbortSignal ? signal : undefined });
  return ids.length === 0 ? value : Int32Array.from(ids);
}

/** Does the same for every text of a list. */
export async function encodeAllAhead<Value>(
  values: readonly Value[],
  context: TokenContext,
  name: string,
  options: EncodeAheadOptions,
): Promise<readonly (Value | Tokens)[]> {
  if (!values.some((value) => typeof value === "string")) return values;
  const encoded: (Value | Tokens)[] = [];
  for (const [index, value] of values.entries()) {
    encoded.push(await encodeAhead(value, context, `${name}[${index}]`, options));
  }
  return encoded;
}
