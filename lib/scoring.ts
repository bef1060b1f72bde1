import type { NativePlan, NativeScores } from "./native.js";
import { type OperationOptions, part, run } from "./operation.js";
import type { Session } from "./session.js";
import { toNativeRows } from "./tokens.js";

/** A row of tokens, of which those from `first` on are scored. */
export interface ScoredRow {
  tokens: Int32Array;
  first: number;
  /** Whether greedy generation is asked for too, and not only what the true tokens give. */
  decode: boolean;
}

/** What the scored tokens of one row come to under one plan. Natural logarithms. */
export interface RowScores {
  /** Tokens before the first that greedy generation gets wrong. */
  extractable: number;
  /** Tokens that are the most probable ones given the true tokens before each. */
  predicted: number;
  /** Tokens that greedy generation gets right, free running; 0 where the row is not decoded. */
  decoded: number;
  /** Sums over the tokens. */
  entropy: number;
  logLikelihood: number;
  schemeLogLikelihood: number;
}

/** The sampling that `schemeLogLikelihood` is about; `topK` 0 keeps all tokens. */
export interface SamplingScheme {
  temperature: number;
  topK: number;
}

export interface ScoringOptions extends OperationOptions {
  scheme: SamplingScheme;
  /** Bytes that may be taken beside the weights. */
  memory: number;
  /** The most rows that travel together. */
  batchSize?: number;
  /** Hears of rows that are done, by their indices, with their scores under each plan. */
  onRows?: (indices: readonly number[], scores: readonly RowScores[][], operations: number) => Promise<void>;
}

export const plainSampling: SamplingScheme = { temperature: 1, topK: 0 };

/** So that progress and what is kept of interrupted work advance on a device of any size. */
const mostRows = 256;

/** Tokens of a batch with its filling, at most, for each true one. */
const mostFilling = 1.125;

function sum(values: Float32Array, begin: number, end: number): number {
  let total = 0;
  for (let index = begin; index < end; index++) total += values[index] as number;
  return total;
}

/** The scores of a row whose values stand from `begin` on. */
function scoresOf({ tokens, first, decode }: ScoredRow, scores: NativeScores, begin: number): RowScores {
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
    entropy: sum(scores.entropy, begin, end),
    logLikelihood: sum(scores.logLikelihood, begin, end),
    schemeLogLikelihood: sum(scores.schemeLogLikelihood, begin, end),
  };
}

/** Rows of one kind and of like lengths side by side. */
function travelOrder(rows: readonly ScoredRow[]): number[] {
  const row = (index: number) => rows[index] as ScoredRow;
  return [...rows.keys()].sort(
    (a, b) =>
      Number(row(b).decode) - Number(row(a).decode) ||
      row(b).tokens.length - row(a).tokens.length ||
      row(a).first - row(b).first ||
      a - b,
  );
}

/** How many rows from one on travel together: of one kind, and with little to fill the shorter ones up with. */
function companions(rows: readonly ScoredRow[], most: number): number {
  const [longest] = rows as readonly [ScoredRow];
  let tokens = 0;
  let count = 0;
  for (const row of rows.slice(0, most)) {
    tokens += row.tokens.length;
    if (row.decode !== longest.decode || (count + 1) * longest.tokens.length > mostFilling * tokens) break;
    count++;
  }
  return count;
}

/**
 * Scores rows under plans: all plans meet each batch of rows in one walk through the blocks. Gives the scores of each
 * row under each plan, [row][plan]. `done` holds those that are known already, and takes the others in.
 */
export async function scoreRows(
  session: Session,
  rows: readonly ScoredRow[],
  plans: NativePlan[],
  options: ScoringOptions,
  done: Map<number, RowScores[]> = new Map(),
): Promise<RowScores[][]> {
  const order = travelOrder(rows);
  const left = order.filter((index) => !done.has(index));
  const weight = (indices: readonly number[]) =>
    indices.reduce((total, index) => total + (rows[index] as ScoredRow).tokens.length, 0);
  const total = weight(order);
  let progress = (total - weight(left)) / total;
  for (let at = 0; at < left.length; ) {
    const ahead = left.slice(at, at + Math.min(mostRows, options.batchSize ?? mostRows));
    const count = companions(
      ahead.map((index) => rows[index] as ScoredRow),
      ahead.length,
    );
    const window = ahead.slice(0, count);
    const batch = window.map((index) => rows[index] as ScoredRow);
    const request = {
      rows: toNativeRows(batch.map(({ tokens }) => tokens)),
      first: Int32Array.from(batch, ({ first }) => first),
      decode: Uint8Array.from(batch, ({ decode }) => Number(decode)),
      plans,
      scheme: options.scheme,
      memory: options.memory,
    };
    const result = await run(session.addon, part(options, progress, progress + weight(window) / total), (control) =>
      session.native.score(request, control),
    );
    const indices = window.slice(0, result.rows);
    let begin = 0;
    for (const index of indices) {
      const row = rows[index] as ScoredRow;
      done.set(
        index,
        result.plans.map((scores) => scoresOf(row, scores, begin)),
      );
      begin += row.tokens.length - row.first;
    }
    await options.onRows?.(
      indices,
      indices.map((index) => done.get(index) as RowScores[]),
      result.operations,
    );
    progress += weight(indices) / total;
    at += result.rows;
  }
  return rows.map((_, index) => done.get(index) as RowScores[]);
}
