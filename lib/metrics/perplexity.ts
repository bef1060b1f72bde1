import * as v from "valibot";
import { type Bypass, toPlan } from "../bypass/bypass.js";
import { type TextFile, toText } from "../data/text-argument.js";
import { requireFinite } from "../errors/finite.js";
import { invalidArgument, reading, validate, wholeNumber } from "../errors/validation.js";
import type { OperationOptions } from "../operation/operation.js";
import { oneBypass, scoreUnder } from "../scoring/one-bypass.js";
import type { RowScores, ScoredRow } from "../scoring/scored-row.js";
import type { Session } from "../session/session.js";
import { encodeAhead } from "../tokenizer/encode-ahead.js";
import { type Boxed, joinTokens, type Tokens, toRow, toTokenIds } from "../tokenizer/tokens.js";

/** Options of `model.perplexity`. */
export interface PerplexityOptions extends OperationOptions {
  /** The number of tokens in a window, the most that the model sees at once. Defaults to the model's context length. */
  contextLength?: number;
  /**
   * The number of tokens that each window after the first one scores. Windows overlap by `contextLength - stride`
   * tokens. Defaults to half of `contextLength`.
   */
  stride?: number;
  /**
   * The id of a token to put before the text, so that the first token of the text is predicted too. Defaults to none.
   */
  beginningToken?: number;
  /** What to bypass. Defaults to nothing. */
  bypass?: Bypass;
  /** The memory budget of the call in bytes, in addition to the weights, as in `MemorizationOptions`. */
  memory?: number;
}

/** The perplexity of a text. */
export interface Perplexity {
  /** The perplexity, exp(negativeLogLikelihood). */
  perplexity: number;
  /** The mean negative log-likelihood of the predicted tokens, natural logarithm. */
  negativeLogLikelihood: number;
  /** The number of predicted tokens. Each is predicted once. */
  tokenCount: number;
}

/** The schema of the options that divide a text into windows. */
export const windowFields = {
  contextLength: v.optional(wholeNumber(2)),
  stride: v.optional(wholeNumber(1)),
  beginningToken: v.optional(v.number()),
};

const schema = v.strictObject({ ...oneBypass, ...windowFields });

/** Consecutive tokens of a text that are the input of one forward pass, and the index of the first scored one. */
interface Window {
  tokens: Int32Array;
  first: number;
}

/**
 * Returns windows over a text that together score each token once, except the first. The first window scores all of its
 * other tokens. Each later one scores the next `stride` tokens, after `contextLength - stride` tokens of context, at
 * least one.
 */
export function windows(tokens: Int32Array, contextLength: number, stride: number): Window[] {
  const list: Window[] = [];
  for (let scored = 1; scored < tokens.length; ) {
    const end = Math.min(tokens.length, scored === 1 ? contextLength : scored + stride);
    const begin = scored === 1 ? 0 : scored - Math.max(1, contextLength - stride);
    list.push({ tokens: tokens.subarray(begin, end), first: scored - begin });
    scored = end;
  }
  return list;
}

/** The options that divide a text into windows. */
export interface WindowOptions {
  contextLength?: number | undefined;
  stride?: number | undefined;
  beginningToken?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Returns a text as rows to score. Throws INVALID_ARGUMENT, FILE_NOT_FOUND, SAMPLES_INVALID, TOKEN_OUT_OF_RANGE,
 * TOKENIZER_MISSING. */
export async function toWindows(text: unknown, options: WindowOptions, session: Session): Promise<ScoredRow[]> {
  const { config } = session;
  const contextLength = options.contextLength ?? config.contextLength;
  if (contextLength > config.contextLength) {
    throw invalidArgument(
      "options.contextLength",
      `at most ${config.contextLength}, the model's context,`,
      contextLength,
    );
  }
  const stride = options.stride ?? Math.max(1, Math.floor(contextLength / 2));
  if (stride > contextLength) {
    throw invalidArgument("options.stride", `at most ${contextLength}, the contextLength,`, stride);
  }
  const beginning =
    options.beginningToken === undefined ? [] : toTokenIds([options.beginningToken], config, "options.beginningToken");
  const { signal } = options;
  // Token ids need no encoding, so the call keeps its place in the model's queue.
  const ids = reading("text", () => Array.isArray(text) || ArrayBuffer.isView(text));
  const input: Boxed<unknown> = ids ? { value: text } : await toText(text, signal);
  const encoded = ids ? input : await encodeAhead(input.value, session, "text", { signal, fits: false });
  const tokens = joinTokens(beginning, toRow(encoded.value, session, "text"));
  if (tokens.length < 2) throw invalidArgument("text", "at least two tokens", text);
  return windows(tokens, contextLength, stride).map((window) => ({ ...window, decode: false, rescore: false }));
}

/** Returns the perplexity of a text from the scores of its windows. */
export function toPerplexity(rows: readonly ScoredRow[], scores: readonly RowScores[]): Perplexity {
  const tokenCount = rows.reduce((count, { tokens, first }) => count + tokens.length - first, 0);
  const negativeLogLikelihood = -scores.reduce((sum, { logLikelihood }) => sum + logLikelihood, 0) / tokenCount;
  return requireFinite({ perplexity: Math.exp(negativeLogLikelihood), negativeLogLikelihood, tokenCount }, "the text");
}

/** Measures the perplexity of a text with sliding windows, as in Hugging Face's guide to perplexity. */
export async function perplexity(
  session: Session,
  text: string | Tokens | TextFile,
  options: PerplexityOptions = {},
): Promise<Perplexity> {
  const checked = validate(schema, options, "options");
  const plan = toPlan(checked.bypass, session.config);
  const rows = await toWindows(text, checked, session);
  return toPerplexity(rows, await scoreUnder(session, rows, plan, checked));
}
