import type { ScoredRow } from "./scored-row.js";

/** The rows of a question, which form one packed row of the forward pass, or a single row. */
export interface Group {
  /** The indices of the rows. */
  rows: number[];
  decode: boolean;
  /** The number of tokens of the packed row, an upper bound. */
  length: number;
  /** The first scored token of the rows. */
  first: number;
}

/**
 * The maximum number of tokens in a group of several rows. The memory of its attention scores grows with the square of
 * this number; without a limit, a question with a thousand answers takes tens of gigabytes.
 */
const maxGroupTokens = 2048;

/** The maximum number of tokens of a padded batch for each token that is not padding. */
const maxPadding = 1.125;

/** Returns the length of the common prefix of two rows: at most `most`, and no scored token of either. */
function sharedTokens(one: ScoredRow, other: ScoredRow, most: number): number {
  const end = Math.min(most, one.first, other.first);
  let shared = 0;
  while (shared < end && one.tokens[shared] === other.tokens[shared]) shared++;
  return shared;
}

/**
 * Returns the indices of the rows grouped by question, in order. A group of more than maxGroupTokens is split; the
 * common prefix of its rows counts once.
 */
function groupIndices(rows: readonly ScoredRow[]): number[][] {
  const groups: number[][] = [];
  // The length of the last group's common prefix, and the number of tokens of all its rows.
  let shared = 0;
  let tokens = 0;
  for (const [index, row] of rows.entries()) {
    const group = groups.at(-1);
    const first = rows[group?.[0] ?? -1];
    if (group !== undefined && first !== undefined && row.group !== undefined && row.group === first.group) {
      const common = sharedTokens(first, row, shared);
      const together = tokens + row.tokens.length;
      if (together - group.length * common <= maxGroupTokens) {
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

function toGroup(indices: number[], rows: readonly ScoredRow[]): Group {
  const members = indices.map((index) => rows[index] as ScoredRow);
  const first = members.reduce((least, row) => Math.min(least, row.first), Number.POSITIVE_INFINITY);
  const length = members.reduce((sum, { tokens }) => sum + tokens.length - first, first);
  return { rows: indices, decode: members.some(({ decode }) => decode), first, length };
}

/**
 * Returns the groups in scoring order: sorted by whether they are decoded, then by length, so that batches need little
 * padding.
 */
export function inBatchOrder(rows: readonly ScoredRow[]): Group[] {
  return groupIndices(rows)
    .map((indices) => toGroup(indices, rows))
    .sort((a, b) => Number(b.decode) - Number(a.decode) || b.length - a.length || a.first - b.first);
}

/**
 * Returns how many of the first groups form a batch: all decoded or none, with little padding, and at most `maxRows`
 * rows.
 */
export function batchLength(groups: readonly Group[], maxRows: number): number {
  const [longest] = groups as readonly [Group];
  let tokens = 0;
  let rows = 0;
  let count = 0;
  for (const group of groups) {
    tokens += group.length;
    rows += group.rows.length;
    const padded = (count + 1) * longest.length > maxPadding * tokens;
    if (count > 0 && (rows > maxRows || group.decode !== longest.decode || padded)) break;
    count++;
  }
  return count;
}

/** Returns the number of tokens of groups, as a measure of their work. */
export const tokensOf = (groups: readonly Group[]): number => groups.reduce((total, { length }) => total + length, 0);
