import * as v from "valibot";
import type { NativePlan } from "../addon/native.js";
import { type Bypass, toPlan } from "../bypass/bypass.js";
import { longCall, validate } from "../errors/validation.js";
import { rankCount, type TokenLogProbability } from "../generation/token-log-probability.js";
import { complete, type OperationOptions } from "../operation/operation.js";
import type { TokenScores } from "../session/scoring-batch.js";
import type { Session } from "../session/session.js";
import { encodeAllAhead } from "../tokenizer/encode-ahead.js";
import { isBatch, joinTokens, toContextRow, toContextRows } from "../tokenizer/tokens.js";

/** Options of `model.logProbabilities`. */
export interface LogProbabilitiesOptions extends OperationOptions {
  /**
   * The number of most probable tokens to return for each token, with their log-probabilities. At most the vocabulary
   * size. Defaults to 0.
   */
  topLogProbabilities?: number;
  /** What to bypass. Defaults to nothing. */
  bypass?: Bypass;
}

/** The log-probabilities of the tokens of one row, each given the tokens before it. */
export interface LogProbabilities {
  /** The token ids of the row. */
  tokens: number[];
  /**
   * The log-probability of each token under the model at temperature 1, natural logarithm. Null for the first token,
   * which no token predicts.
   */
  logProbabilities: (number | null)[];
  /**
   * For each token, the most probable tokens at its position, the most probable first; empty for the first token. Only
   * present with the option `topLogProbabilities`.
   */
  topLogProbabilities?: TokenLogProbability[][];
  /**
   * The most probable tokens after the row, the most probable first: as many as `topLogProbabilities`, but at least
   * one.
   */
  next: TokenLogProbability[];
}

const schema = v.strictObject({
  ...longCall,
  topLogProbabilities: v.optional(v.number(), 0),
  bypass: v.optional(v.unknown()),
});

/** The scorer predicts every token of a row but the first; this token at the end makes it predict the next one. */
const placeholder = new Int32Array(1);

function toResult(row: Int32Array, scores: TokenScores, ranks: number, top: number): LogProbabilities {
  const rankedAt = (position: number): TokenLogProbability[] =>
    Array.from({ length: ranks }, (_, rank) => ({
      token: scores.topTokens[position * ranks + rank] as number,
      logProbability: scores.topLogProbabilities[position * ranks + rank] as number,
    }));
  const positions = Array.from({ length: row.length - 1 }, (_, position) => position);
  return {
    tokens: Array.from(row),
    logProbabilities: [null, ...positions.map((position) => scores.logLikelihood[position] as number)],
    ...(top > 0 && { topLogProbabilities: [[], ...positions.map(rankedAt)] }),
    next: rankedAt(row.length - 1),
  };
}

/**
 * Returns the log-probabilities of the tokens of one row or several. Logits are reduced as they are computed, so long
 * rows take little memory.
 */
export async function logProbabilities(
  session: Session,
  input: unknown,
  options: LogProbabilitiesOptions = {},
): Promise<LogProbabilities | LogProbabilities[]> {
  const checked = validate(schema, options, "options");
  const top = validate(rankCount(session.config), checked.topLogProbabilities, "options.topLogProbabilities");
  const plan: NativePlan = toPlan(checked.bypass, session.config);
  const { value } = await encodeAllAhead(input, session, "tokens", { signal: checked.signal, fits: true });
  const several = isBatch(value, "tokens");
  const rows = several ? toContextRows(value, session, "tokens") : [toContextRow(value, session, "tokens")];
  const ranks = Math.max(1, top);
  const results = await Promise.all(
    rows.map(async (row) => {
      const scores = await session.scores.score(joinTokens(row, placeholder), plan, ranks, checked.signal);
      return toResult(row, scores, ranks, top);
    }),
  );
  await complete(checked);
  return several ? results : (results[0] as LogProbabilities);
}
