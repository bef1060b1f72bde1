import * as v from "valibot";
import { type Bypass, toPlan } from "./bypass.js";
import { type OperationOptions, run, step } from "./operation.js";
import type { Session } from "./session.js";
import { type Tokens, toNativeRows, toRow, toTokenIds } from "./tokens.js";
import { invalidArgument, longCall, validate, wholeNumber } from "./validation.js";

export interface PerplexityOptions extends OperationOptions {
  /** The most tokens that the model sees at once. Defaults to the model's context. */
  contextLength?: number;
  /** How many new tokens each window scores after the first; windows overlap by the rest. Defaults to half of
   * `contextLength`. */
  stride?: number;
  /** A token to put before the text, so that its first token has a prediction too. */
  beginningToken?: number;
  bypass?: Bypass;
  /** How many windows travel together. Defaults to 8. */
  batchSize?: number;
}

export interface Perplexity {
  /** exp(negativeLogLikelihood). */
  perplexity: number;
  /** Mean over the predicted tokens, natural logarithm. */
  negativeLogLikelihood: number;
  /** Tokens that were predicted, each once. */
  tokenCount: number;
}

const schema = v.strictObject({
  ...longCall,
  contextLength: v.optional(wholeNumber(2)),
  stride: v.optional(wholeNumber(1)),
  beginningToken: v.optional(v.number()),
  bypass: v.optional(v.any()),
  batchSize: v.optional(wholeNumber(1), 8),
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

/**
 * How well the model predicts a text, by windows as Hugging Face's guide to perplexity has them.
 */
export async function perplexity(
  session: Session,
  text: string | Tokens,
  options: PerplexityOptions = {},
): Promise<Perplexity> {
  const checked = validate(schema, options, "options");
  const { config } = session;
  const plan = toPlan(options.bypass, config);
  const contextLength = checked.contextLength ?? config.contextLength;
  if (contextLength > config.contextLength) {
    throw invalidArgument(
      "options.contextLength",
      `at most ${config.contextLength}, the model's context,`,
      contextLength,
    );
  }
  const stride = checked.stride ?? Math.max(1, Math.floor(contextLength / 2));
  if (stride > contextLength) {
    throw invalidArgument("options.stride", `at most ${contextLength}, the contextLength,`, stride);
  }
  const beginning =
    checked.beginningToken === undefined ? [] : toTokenIds([checked.beginningToken], config, "options.beginningToken");
  const tokens = Int32Array.from([...beginning, ...toRow(text, session, "text")]);
  if (tokens.length < 2) throw invalidArgument("text", "at least two tokens", text);

  const list = windows(tokens, contextLength, stride);
  const batchCount = Math.ceil(list.length / checked.batchSize);
  let sum = 0;
  for (let index = 0; index < batchCount; index++) {
    const batch = list.slice(index * checked.batchSize, (index + 1) * checked.batchSize);
    const request = {
      rows: toNativeRows(batch.map((window) => window.tokens)),
      first: Int32Array.from(batch, (window) => window.first),
      entropy: false,
      scheme: undefined,
      decode: false,
    };
    const { logLikelihood } = await run(session.addon, step(options, index, batchCount), (control) =>
      session.native.score(request, plan, control),
    );
    for (const value of logLikelihood) sum -= value;
  }
  const tokenCount = tokens.length - 1;
  const negativeLogLikelihood = sum / tokenCount;
  return { perplexity: Math.exp(negativeLogLikelihood), negativeLogLikelihood, tokenCount };
}
