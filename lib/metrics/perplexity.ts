import * as v from "valibot";
import { type Bypass, toPlan } from "../bypass/bypass.js";
import { type TextFile, toText } from "../data/text-argument.js";
import { requireFinite } from "../errors/finite.js";
import { invalidArgument, longCall, reading, validate, wholeNumber } from "../errors/validation.js";
import type { OperationOptions } from "../operation/operation.js";
import { scoreRows } from "../scoring/rescoring.js";
import type { RowScores, ScoredRow } from "../scoring/scored-row.js";
import { plainSampling } from "../scoring/scoring.js";
import { defaultMemory } from "../session/memory-budget.js";
import type { Session } from "../session/session.js";
import { encodeAhead } from "../tokenizer/encode-ahead.js";
import { type Boxed, joinTokens, type Tokens, toRow, toTokenIds } from "../tokenizer/tokens.js";

/** Options of `model.perplexity`. */
export interface PerplexityOptions extends OperationOptions {
  /** The most tokens that the model sees at once. Defaults to the model's context. */
  contextLength?: number;
  /** How many new tokens each window scores after the first; windows overlap by the rest. Defaults to half of
   * `contextLength`. */
  stride?: number;
  /** A token to put before the text, so that its first token has a prediction too. */
  beginningToken?: number;
  /** What to bypass. Defaults to nothing. */
  bypass?: Bypass;
  /** Bytes of memory that the call may take in addition to the weights, as in `MemorizationOptions`. */
  memory?: number;
}

/** How well a model predicts a text. */
export interface Perplexity {
  /** exp(negativeLogLikelihood). */
  perplexity: number;
  /** Mean over the predicted tokens, natural logarithm. */
  negativeLogLikelihood: number;
  /** Tokens that were predicted, each once. */
  tokenCount: number;
}

/** Of how a text is cut into windows. */
export const windowFields = {
  contextLength: v.optional(wholeNumber(2)),
  stride: v.optional(wholeNumber(1)),
  beginningToken: v.optional(v.number()),
};

const schema = v.strictObject({
  ...longCall,
  ...windowFields,
  bypass: v.optional(v.unknown()),
  memory: v.optional(wholeNumber(1)),
});

/** A stretch of a text that goes through the model at once, and the first token in it that is scored. */
interface Window {
  tokens: Int32Array;
  first: number;
}

/**
 * Windows over a text in which each token but the first is scored once. The first window scores all that it can;
 * each later one scores the next `stride` tokens, with `contextLength - stride` tokens before them, and at least one.
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

/** Of how a text is cut into windows, in whatever call. */
export interface WindowOptions {
  contextLength?: number | undefined;
  stride?: number | undefined;
  beginningToken?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A text as rows to score. Throws INVALID_ARGUMENT, FILE_NOT_FOUND, SAMPLES_INVALID, TOKEN_OUT_OF_RANGE, TOKENIZER_MISSING. */
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
  // Token ids are queued at once, in the order in which calls are made.
  const ids = reading("text", () => Array.isArray(text) || ArrayBuffer.isView(text));
  const given: Boxed<unknown> = ids ? { value: text } : await toText(text, signal);
  const encoded = ids ? given : await encodeAhead(given.value, session, "text", { signal, fits: false });
  const tokens = joinTokens(beginning, toRow(encoded.value, session, "text"));
  if (tokens.length < 2) throw invalidArgument("text", "at least two tokens", text);
  return windows(tokens, contextLength, stride).map((window) => ({ ...window, decode: false, rescore: false }));
}

/** The result for a text from the scores of its windows. */
export function toPerplexity(rows: readonly ScoredRow[], scores: readonly RowScores[]): Perplexity {
  const tokenCount = rows.reduce((count, { tokens, first }) => count + tokens.length - first, 0);
  const negativeLogLikelihood = -scores.reduce((sum, { logLikelihood }) => sum + logLikelihood, 0) / tokenCount;
  return requireFinite({ perplexity: Math.exp(negativeLogLikelihood), negativeLogLikelihood, tokenCount }, "the text");
}

/**
 * How well the model predicts a text, by windows as Hugging Face's guide to perplexity has them.
 */
export async function perplexity(
  session: Session,
  text: string | Tokens | TextFile,
  options: PerplexityOptions = {},
): Promise<Perplexity> {
  const checked = validate(schema, options, "options");
  const plan = toPlan(checked.bypass, session.config);
  const rows = await toWindows(text, checked, session);
  const scores = await scoreRows(session, rows, [plan], {
    signal: checked.signal,
    onProgress: checked.onProgress,
    scheme: plainSampling,
    memory: checked.memory ?? defaultMemory(session),
  });
  return toPerplexity(
    rows,
    scores.map(([only]) => only as RowScores),
  );
}
