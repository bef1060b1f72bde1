import type { NativePlan } from "../addon/native.js";
import type { ModelConfig } from "../families/model-config.js";
import { type SampledPrompt, sampleTokens } from "../generation/sampled-tokens.js";
import { finish, type OperationOptions } from "../operation/operation.js";
import { Progress } from "../operation/progress.js";
import { Turn } from "../operation/turn.js";
import { editDistance } from "../scoring/edit-distance.js";
import type { RowScores, ScoredRow } from "../scoring/scored-row.js";
import type { SamplingScheme } from "../scoring/scoring.js";
import type { Session } from "../session/session.js";
import { continuationSeeds } from "./continuation-seed.js";

/** How continuations are sampled, and which of them match. */
export interface SampledMatchOptions extends OperationOptions {
  /** The number of continuations of each row under each plan. */
  continuations: number;
  /** A continuation matches up to this distance from the suffix, as a share of its length. */
  epsilon: number;
  seed: number;
  scheme: SamplingScheme;
  /** The memory budget in bytes, in addition to the weights. */
  memory: number;
  /** The shares of matches that are already known under each plan, by row index. */
  known?: ReadonlyMap<number, readonly number[]> | undefined;
  /** Called with the indices of finished rows and their shares of matches under each plan. */
  onRows?: ((indices: readonly number[], shares: readonly (readonly number[])[]) => Promise<void>) | undefined;
}

/** The time to sample a continuation of a row, as a multiple of scoring the row once. For progress. */
const samplingCost = 2;

/** Returns the time to sample the continuations of rows, as a multiple of scoring one row once. For progress. */
export function samplingWork(rows: readonly ScoredRow[], continuations: number): number {
  return samplingCost * continuations * rows.filter(({ sample }) => sample).length;
}

/** A larger batch decodes each token hardly faster. */
const maxPrompts = 256;

/** One continuation to sample. */
interface Draw extends SampledPrompt {
  row: number;
  /** The number of the plan. */
  under: number;
  /** Whether it is the last one of its row. */
  last: boolean;
}

/** Returns the number of bytes that sampling one continuation takes: keys, values and logits in float32, at most. */
function bytesOf({ tokens, length }: SampledPrompt, config: ModelConfig): number {
  const position = 2 * config.blockCount * config.hiddenSize;
  // Memory for generated tokens doubles as rows are added, and is copied then.
  return 4 * (position * (tokens.length + 3 * length) + 3 * config.vocabularySize);
}

/** Yields the continuations of rows: row by row, then plan by plan. */
function* drawsOf(
  indices: readonly number[],
  rows: readonly ScoredRow[],
  plans: readonly NativePlan[],
  { continuations, seed }: SampledMatchOptions,
): Generator<Draw, void, void> {
  for (const row of indices) {
    const scored = rows[row] as ScoredRow;
    const tokens = scored.tokens.subarray(0, scored.first);
    const length = scored.tokens.length - scored.first;
    const seedOf = continuationSeeds(scored, seed);
    for (const [under, plan] of plans.entries()) {
      for (let number = 0; number < continuations; number++) {
        const last = under === plans.length - 1 && number === continuations - 1;
        yield { row, under, last, tokens, plan, length, seed: seedOf(number) };
      }
    }
  }
}

/** Yields batches of continuations that fit into memory; each has at least one. */
function* batchesOf(draws: Iterable<Draw>, config: ModelConfig, memory: number): Generator<Draw[], void, void> {
  let batch: Draw[] = [];
  let bytes = 0;
  for (const draw of draws) {
    const more = bytesOf(draw, config);
    if (batch.length > 0 && (batch.length === maxPrompts || bytes + more > memory)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(draw);
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}

/**
 * Samples continuations of the rows with `sample` under each plan and returns the scores, [row][plan], with the shares
 * of those that match. A continuation has the same seed under every plan. Batches and other rows change the result only
 * by rounding.
 */
export async function addSampledMatches(
  session: Session,
  rows: readonly ScoredRow[],
  plans: readonly NativePlan[],
  scores: readonly RowScores[][],
  options: SampledMatchOptions,
): Promise<RowScores[][]> {
  const { continuations, epsilon, scheme, memory, signal, onProgress, onRows } = options;
  const shares = new Map(options.known);
  const sampled = [...rows.keys()].filter((row) => rows[row]?.sample);
  const left = sampled.filter((row) => !shares.has(row));
  const matches = new Map(left.map((row) => [row, plans.map(() => 0)]));
  const perRow = plans.length * continuations;
  const progress = onProgress && new Progress(onProgress);
  const turn = new Turn();
  let done = perRow * (sampled.length - left.length);
  for (const batch of batchesOf(drawsOf(left, rows, plans, options), session.config, memory)) {
    const before = done;
    const report = (fraction: number) => {
      progress?.report((before + fraction * batch.length) / (perRow * sampled.length));
      progress?.check();
    };
    const drawn = await sampleTokens(session, batch, scheme, { signal, onProgress: report });
    for (const [index, { row, under }] of batch.entries()) {
      const { tokens, first } = rows[row] as ScoredRow;
      const suffix = tokens.subarray(first);
      const counts = matches.get(row) as number[];
      if (editDistance(drawn[index] as number[], suffix) / suffix.length <= epsilon) (counts[under] as number)++;
      await turn.rest();
    }
    const finished = batch.filter(({ last }) => last).map(({ row }) => row);
    const found = finished.map((row) => (matches.get(row) as number[]).map((count) => count / continuations));
    for (const [index, row] of finished.entries()) shares.set(row, found[index] as number[]);
    if (finished.length > 0) await onRows?.(finished, found);
    done += batch.length;
  }
  if (progress) await finish(progress, signal);
  return scores.map((underPlans, row) => {
    const found = shares.get(row);
    return found
      ? underPlans.map((score, plan) => ({ ...score, sampledMatch: found[plan] as number }))
      : [...underPlans];
  });
}
