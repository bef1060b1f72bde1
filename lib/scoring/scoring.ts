import type { NativePlan, NativeScorer, NativeScores, NativeScoringRows } from "../addon/native.js";
import { AttentionBypassError } from "../errors/errors.js";
import type { Dtype } from "../families/dtype.js";
import { ask, type OperationOptions, part, run } from "../operation/operation.js";
import { Turn } from "../operation/turn.js";
import type { Session } from "../session/session.js";
import { toNativeRows } from "../tokenizer/tokens.js";
import { commonSubsequence } from "./common-subsequence.js";
import { editDistance } from "./edit-distance.js";
import { batchLength, type Group, inBatchOrder, tokensOf } from "./groups.js";
import type { RowScores, ScoredRow } from "./scored-row.js";

/** The sampling scheme of `schemeLogLikelihood`. `topK` 0 samples from all tokens. */
export interface SamplingScheme {
  temperature: number;
  topK: number;
}

export interface ScoringOptions extends OperationOptions {
  scheme: SamplingScheme;
  /** The memory budget in bytes, in addition to the weights. */
  memory: number;
  /** Whether the scores include those of each token. Defaults to false. */
  tokens?: boolean | undefined;
  /** Scores that are already known, by row index. These rows are not scored again. */
  known?: ReadonlyMap<number, RowScores[]> | undefined;
  /**
   * Called after each batch with the indices of its rows, their scores under each plan, and the number of
   * floating-point operations.
   */
  onRows?:
    | ((indices: readonly number[], scores: readonly RowScores[][], operations: number) => Promise<void>)
    | undefined;
  /** Called after each batch, including those in float32, with the number of floating-point operations. */
  onOperations?: ((operations: number) => void) | undefined;
}

export const plainSampling: SamplingScheme = { temperature: 1, topK: 0 };

/** The maximum number of rows in a batch, so that progress and the resume file are updated regularly on any device. */
const maxRows = 256;

function sum(values: Float32Array, begin: number, end: number): number {
  let total = 0;
  for (let index = begin; index < end; index++) total += values[index] as number;
  return total;
}

/** Returns how similar the decoded tokens of a row are to the true ones, of which the first `equal` are the same. */
function compare({ tokens, first }: ScoredRow, decoded: Int32Array, equal: number) {
  const left = decoded.subarray(equal);
  const right = tokens.subarray(first + equal);
  return { editDistance: editDistance(left, right), commonSubsequence: equal + commonSubsequence(left, right) };
}

/** Returns the scores of a row whose values begin at the index `begin`. */
function scoresOf(row: ScoredRow, scores: NativeScores, begin: number, ofTokens: boolean): RowScores {
  const { tokens, first, decode } = row;
  const length = tokens.length - first;
  const end = begin + length;
  const right = (predictions: Int32Array, index: number) => predictions[begin + index] === tokens[first + index];
  const agreeing = (predictions: Int32Array) => {
    let count = 0;
    for (let index = 0; index < length; index++) if (right(predictions, index)) count++;
    return count;
  };
  let extractable = 0;
  while (extractable < length && right(scores.predicted, extractable)) extractable++;
  return {
    extractable,
    predicted: agreeing(scores.predicted),
    decoded: decode ? agreeing(scores.decoded) : 0,
    ...(decode && row.compare
      ? compare(row, scores.decoded.subarray(begin, end), extractable)
      : { editDistance: 0, commonSubsequence: 0 }),
    entropy: sum(scores.entropy, begin, end),
    logLikelihood: sum(scores.logLikelihood, begin, end),
    schemeLogLikelihood: sum(scores.schemeLogLikelihood, begin, end),
    margin: scores.margin.subarray(begin, end).reduce((least, value) => Math.min(least, value)),
    ...(ofTokens && {
      tokens: {
        schemeLogLikelihood: scores.schemeLogLikelihood.slice(begin, end),
        predicted: Uint8Array.from({ length }, (_, index) => Number(right(scores.predicted, index))),
      },
    }),
  };
}

/** What to do about scores that are not finite, by the dtype of the model. */
const advices: Partial<Record<Dtype, string>> = {
  float16: 'load the model with the dtype "bfloat16" or "float32"',
  bfloat16: 'load the model with the dtype "float32"',
};

/**
 * Returns the scores if they are finite. `schemeLogLikelihood` may be -Infinity under `topK`, and the margin is
 * infinite in a vocabulary of one token. Throws NOT_FINITE.
 */
function requireFiniteScores(scores: RowScores, { dtype }: Session): RowScores {
  const { entropy, logLikelihood, schemeLogLikelihood, margin } = scores;
  const finite = Number.isFinite(entropy) && Number.isFinite(logLikelihood);
  if (finite && schemeLogLikelihood < Number.POSITIVE_INFINITY && !Number.isNaN(margin)) return scores;
  const received =
    `a log-likelihood of ${logLikelihood} (${schemeLogLikelihood} when sampled), an entropy of ${entropy} and a margin of ` +
    `${margin}`;
  const advice = advices[dtype] ?? "check the weights";
  throw new AttentionBypassError(
    "NOT_FINITE",
    `expected finite scores from the model in ${dtype} but received ${received}; ${advice}`,
  );
}

/** Returns the rows of groups as the addon takes them. */
function toNative(groups: readonly Group[], rows: readonly ScoredRow[]): NativeScoringRows {
  const batch = groups.flatMap((group) => group.rows.map((index) => rows[index] as ScoredRow));
  return {
    rows: toNativeRows(batch.map(({ tokens }) => tokens)),
    first: Int32Array.from(batch, ({ first }) => first),
    groups: Int32Array.from(groups, (group) => group.rows.length),
    decode: groups.some(({ decode }) => decode),
  };
}

/** Sets the scorer's next batch: as many of the first groups as fit into its memory. Returns them. */
export function takeBatch(scorer: NativeScorer, left: readonly Group[], rows: readonly ScoredRow[]): Group[] {
  const candidates = left.slice(0, batchLength(left, maxRows));
  return candidates.slice(
    0,
    ask(() => scorer.take(toNative(candidates, rows))),
  );
}

/**
 * Scores rows under plans in the model's own dtype and returns the scores, [row][plan]. Each batch takes one forward
 * pass for all plans together.
 */
export async function scoreInOwnDtype(
  session: Session,
  rows: readonly ScoredRow[],
  plans: readonly NativePlan[],
  options: ScoringOptions,
): Promise<RowScores[][]> {
  const scores = new Map(options.known);
  const groups = inBatchOrder(rows);
  const total = tokensOf(groups);
  let left = groups.filter((group) => !group.rows.every((index) => scores.has(index)));
  if (left.length === 0) return rows.map((_, index) => scores.get(index) as RowScores[]);
  const { addon, native } = session;
  const scorer = new addon.Scorer(native, { plans, scheme: options.scheme, top: 0, memory: options.memory });
  let reached = total - tokensOf(left);
  while (left.length > 0) {
    const batch = takeBatch(scorer, left, rows);
    left = left.slice(batch.length);
    const to = reached + tokensOf(batch);
    const result = await run(addon, part(options, reached / total, to / total), (control) => scorer.score(control));
    reached = to;
    const indices = batch.flatMap((group) => group.rows);
    const turn = new Turn();
    let begin = 0;
    for (const index of indices) {
      const row = rows[index] as ScoredRow;
      const underPlans: RowScores[] = [];
      for (const plan of result.plans) {
        underPlans.push(requireFiniteScores(scoresOf(row, plan, begin, options.tokens === true), session));
        await turn.rest();
      }
      scores.set(index, underPlans);
      begin += row.tokens.length - row.first;
    }
    options.onOperations?.(result.operations);
    const done = indices.map((index) => scores.get(index) as RowScores[]);
    await options.onRows?.(indices, done, result.operations);
  }
  return rows.map((_, index) => scores.get(index) as RowScores[]);
}
