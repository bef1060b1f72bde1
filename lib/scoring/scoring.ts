import type { NativePlan, NativeScoreRequest, NativeScores } from "../addon/native.js";
import { AttentionBypassError } from "../errors/errors.js";
import { ask, type OperationOptions, part, run } from "../operation/operation.js";
import type { Session } from "../session/session.js";
import { toNativeRows } from "../tokenizer/tokens.js";

/** A row of tokens, of which those from `first` on are scored. */
export interface ScoredRow {
  tokens: Int32Array;
  first: number;
  /** Whether greedy generation is asked for too, and not only what the true tokens give. */
  decode: boolean;
  /** Rows after each other of the same group go together: what they begin with alike is computed once. */
  group?: object;
  /** Whether it matters that greedy generation gives just this row, so that float32 decides where less can't tell. */
  settle: boolean;
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
  /** The least by which a token's logit is above those of all others; below 0 where one is not the greatest. */
  margin: number;
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
  onRows?:
    | ((indices: readonly number[], scores: readonly RowScores[][], operations: number) => Promise<void>)
    | undefined;
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
    margin: scores.margin.subarray(begin, end).reduce((least, value) => Math.min(least, value)),
  };
}

/**
 * The last net under NaN and infinity. Under `topK` a token may have no probability at all, and in a vocabulary of one
 * token the margin is infinite. Throws NOT_FINITE.
 */
function requireNumbers(scores: RowScores, { dtype }: Session): RowScores {
  const { entropy, logLikelihood, schemeLogLikelihood, margin } = scores;
  const finite = Number.isFinite(entropy) && Number.isFinite(logLikelihood);
  if (finite && schemeLogLikelihood < Number.POSITIVE_INFINITY && !Number.isNaN(margin)) return scores;
  throw new AttentionBypassError(
    "NOT_FINITE",
    `expected finite scores of a model in ${dtype} but received a log-likelihood of ${logLikelihood} and an entropy of ` +
      `${entropy}; load it with the dtype "bfloat16" or "float32"`,
  );
}

/** Rows that go together, by their indices. */
type Group = number[];

/**
 * The maximum number of tokens in a group of several rows. The memory of its attention scores grows with the square of this
 * number; without a limit, a question with a thousand answers takes tens of gigabytes.
 */
const mostGroupTokens = 2048;

/** Returns the length of the common prefix of two rows: at most `most`, and no scored token of either. */
function sharedTokens(one: ScoredRow, other: ScoredRow, most: number): number {
  const end = Math.min(most, one.first, other.first);
  let shared = 0;
  while (shared < end && one.tokens[shared] === other.tokens[shared]) shared++;
  return shared;
}

/**
 * Returns the rows grouped by question, in order. A group of more than mostGroupTokens is split; the common prefix of its
 * rows counts once.
 */
function toGroups(rows: readonly ScoredRow[]): Group[] {
  const groups: Group[] = [];
  // Of the last group: the length of its common prefix, and the tokens of all its rows.
  let shared = 0;
  let tokens = 0;
  for (const [index, row] of rows.entries()) {
    const group = groups.at(-1);
    const first = rows[group?.[0] ?? -1];
    if (group !== undefined && first !== undefined && row.group !== undefined && row.group === first.group) {
      const common = sharedTokens(first, row, shared);
      const together = tokens + row.tokens.length;
      if (together - group.length * common <= mostGroupTokens) {
        group.push(index);
        shared = common;
        tokens = together;
        continue;
      }
    }
    groups.push([index]);
    shared = row.first;
    tokens = row.tokens.length;
  }
  return groups;
}

/** A group with what decides which others it travels with. */
interface Traveller {
  group: Group;
  decode: boolean;
  /** Tokens that it takes at most. */
  length: number;
  first: number;
}

function toTraveller(group: Group, rows: readonly ScoredRow[]): Traveller {
  const members = group.map((index) => rows[index] as ScoredRow);
  const first = members.reduce((least, row) => Math.min(least, row.first), Number.POSITIVE_INFINITY);
  const decode = members.some((row) => row.decode);
  return { group, decode, first, length: members.reduce((sum, { tokens }) => sum + tokens.length - first, first) };
}

/** Groups of one kind and of like lengths side by side. */
function inTravelOrder(travellers: readonly Traveller[]): Traveller[] {
  return travellers.toSorted((a, b) => Number(b.decode) - Number(a.decode) || b.length - a.length || a.first - b.first);
}

/** How many travel together from the first on: of one kind, with little to fill the shorter ones up with. */
function companions(travellers: readonly Traveller[], mostRows: number): number {
  const [longest] = travellers as readonly [Traveller];
  let tokens = 0;
  let rows = 0;
  let count = 0;
  for (const { group, decode, length } of travellers) {
    tokens += length;
    rows += group.length;
    const fills = (count + 1) * longest.length > mostFilling * tokens;
    if (count > 0 && (rows > mostRows || decode !== longest.decode || fills)) break;
    count++;
  }
  return count;
}

/**
 * Scores rows under plans in the model's own dtype: all plans meet each batch of rows in one walk through the blocks.
 * Gives the scores of each row under each plan, [row][plan]. `done` holds those that are known already, and takes the
 * others in.
 */
export async function walkRows(
  session: Session,
  rows: readonly ScoredRow[],
  plans: NativePlan[],
  options: ScoringOptions,
  done: Map<number, RowScores[]> = new Map(),
): Promise<RowScores[][]> {
  const travellers = inTravelOrder(toGroups(rows).map((group) => toTraveller(group, rows)));
  let left = travellers.filter(({ group }) => !group.every((index) => done.has(index)));
  const weight = (some: readonly Traveller[]) => some.reduce((total, { length }) => total + length, 0);
  const total = weight(travellers);
  let reached = total - weight(left);
  const request = (some: readonly Traveller[]): NativeScoreRequest => {
    const batch = some.flatMap(({ group }) => group.map((index) => rows[index] as ScoredRow));
    return {
      rows: toNativeRows(batch.map(({ tokens }) => tokens)),
      first: Int32Array.from(batch, ({ first }) => first),
      groups: Int32Array.from(some, ({ group }) => group.length),
      decode: some.some(({ decode }) => decode),
      plans,
      scheme: options.scheme,
      memory: options.memory,
    };
  };
  const { addon, native } = session;
  const most = Math.min(mostRows, options.batchSize ?? mostRows);
  while (left.length > 0) {
    const alike = left.slice(0, companions(left, most));
    const fitting = ask(() => native.groupsThatFit(request(alike)));
    const batch = left.slice(0, fitting);
    left = left.slice(fitting);
    const to = reached + weight(batch);
    const result = await run(addon, part(options, reached / total, to / total), (control) =>
      native.score(request(batch), control),
    );
    reached = to;
    const indices = batch.flatMap(({ group }) => group);
    let begin = 0;
    for (const index of indices) {
      const row = rows[index] as ScoredRow;
      const at = begin;
      done.set(
        index,
        Array.from(result.plans, (scores) => requireNumbers(scoresOf(row, scores, at), session)),
      );
      begin += row.tokens.length - row.first;
    }
    await options.onRows?.(
      indices,
      indices.map((index) => done.get(index) as RowScores[]),
      result.operations,
    );
  }
  return rows.map((_, index) => done.get(index) as RowScores[]);
}
