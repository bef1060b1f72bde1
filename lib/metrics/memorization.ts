import * as v from "valibot";
import { type Bypass, toPlan } from "../bypass/bypass.js";
import { readSamples, type Sample, type SampleOptions, type Samples } from "../data/samples.js";
import { invalidArgument, longCall, share, validate, wholeNumber } from "../errors/validation.js";
import type { OperationOptions } from "../operation/operation.js";
import { scoreRows } from "../scoring/rescoring.js";
import type { RowScores, ScoredRow } from "../scoring/scored-row.js";
import { defaultMemory } from "../session/memory-budget.js";
import type { Session } from "../session/session.js";
import { requireContext } from "../tokenizer/tokens.js";

/** What can be measured of a row whose first tokens, the prefix, the model is given. Natural logarithms. */
export interface MemorizationScores {
  /** 1 where all tokens generated greedily after the prefix are the suffix, else 0. */
  exactMatch: number;
  /** Share of the greedily generated tokens that equal the suffix at their position, free running. */
  tokenAccuracy: number;
  /** Share of the suffix positions where the most probable token given the true tokens before it is the true one. */
  teacherForcedAccuracy: number;
  /** Sum over the suffix positions of the entropy of the next token given the true tokens before it. */
  completionEntropy: number;
  /** Sum over the suffix positions of the log-probability of the true token given the true tokens before it. */
  suffixLogLikelihood: number;
  /** Tokens of the suffix before the first that greedy generation gets wrong. */
  extractableLength: number;
  /** Probability that the suffix comes when it is sampled once, at `temperature` and `topK`. */
  extractionProbability: number;
}

/** The name of a metric. */
export type MemorizationMetric = keyof MemorizationScores;

/** The names of all metrics. */
export const memorizationMetrics = [
  "exactMatch",
  "tokenAccuracy",
  "teacherForcedAccuracy",
  "completionEntropy",
  "suffixLogLikelihood",
  "extractableLength",
  "extractionProbability",
] as const satisfies readonly MemorizationMetric[];

/** Options of `model.scoreMemorization`. */
export interface MemorizationOptions<Metric extends MemorizationMetric = MemorizationMetric> extends OperationOptions {
  /** Tokens at the beginning of each row that the model is given. Not needed where samples say it themselves. */
  prefixLength?: number;
  /** What to bypass. Defaults to nothing. */
  bypass?: Bypass;
  /** Take the first rows alone. Defaults to all. */
  rows?: number;
  /** What to measure. Defaults to everything; without "tokenAccuracy" nothing is ever decoded. */
  metrics?: readonly Metric[];
  /** Bytes of memory that the call may take in addition to the weights. Results do not depend on it beyond rounding.
   * Defaults to 1 GiB on the CPU, or half of the available memory if that is less, and to half of the free memory of a CUDA
   * device. */
  memory?: number;
  /** Of the sampling that `extractionProbability` is about. Defaults to 1. */
  temperature?: number;
  /** Sampling is among this many most probable tokens. Defaults to all. */
  topK?: number;
}

/** Means over the rows, and each row's own values. */
export type MemorizationResult<Metric extends MemorizationMetric = MemorizationMetric> = Pick<
  MemorizationScores,
  Metric
> & {
  /** How many rows were scored. */
  rows: number;
  /** Of each row. */
  perRow: Pick<MemorizationScores, Metric>[];
};

/** Logits are divided by the temperature in float32; with smaller values they overflow. */
const lowestTemperature = 1e-6;

const temperature = v.pipe(
  v.number(),
  v.check((value) => Number.isFinite(value) && value >= lowestTemperature, `a number from ${lowestTemperature} up`),
);

/** Of what is measured of samples, in whatever call. */
export const measuredSamples = {
  prefixLength: v.optional(wholeNumber(1)),
  rows: v.optional(wholeNumber(1)),
  metrics: v.optional(v.pipe(v.array(v.picklist(memorizationMetrics)), v.nonEmpty("at least one metric")), [
    ...memorizationMetrics,
  ]),
  temperature: v.optional(temperature, 1),
  topK: v.optional(wholeNumber(1)),
};

const schema = v.strictObject({
  ...longCall,
  ...measuredSamples,
  bypass: v.optional(v.unknown()),
  memory: v.optional(wholeNumber(1)),
});

/** The metrics of one row from what its suffix tokens come to. */
function metricsOf({ tokens, first }: ScoredRow, scores: RowScores): MemorizationScores {
  const length = tokens.length - first;
  return {
    exactMatch: scores.extractable === length ? 1 : 0,
    tokenAccuracy: scores.decoded / length,
    teacherForcedAccuracy: scores.predicted / length,
    completionEntropy: scores.entropy,
    suffixLogLikelihood: scores.logLikelihood,
    extractableLength: scores.extractable,
    extractionProbability: Math.exp(scores.schemeLogLikelihood),
  };
}

function pick<Metric extends MemorizationMetric>(
  value: (metric: Metric) => number,
  metrics: readonly Metric[],
): Pick<MemorizationScores, Metric> {
  return Object.fromEntries(metrics.map((metric) => [metric, value(metric)])) as Pick<MemorizationScores, Metric>;
}

/** Samples as rows to score. */
export function toScoredRows(samples: readonly Sample[], metrics: readonly MemorizationMetric[]): ScoredRow[] {
  const decode = metrics.includes("tokenAccuracy");
  const rescore = decode || metrics.includes("exactMatch");
  return samples.map(({ tokens, prefixLength }) => ({ tokens, first: prefixLength, decode, rescore }));
}

/** The result for rows from the scores of each. */
export function toMemorizationResult<Metric extends MemorizationMetric>(
  rows: readonly ScoredRow[],
  scores: readonly RowScores[],
  metrics: readonly Metric[],
): MemorizationResult<Metric> {
  const perRow = rows.map((row, index) => {
    const all = metricsOf(row, scores[index] as RowScores);
    return pick((metric: Metric) => all[metric], metrics);
  });
  const mean = (metric: Metric) => perRow.reduce((total, row) => total + row[metric], 0) / perRow.length;
  return { ...pick(mean, metrics), rows: perRow.length, perRow };
}

/** Reads samples that a model can score. */
export async function readScorable(samples: unknown, options: SampleOptions, session: Session): Promise<Sample[]> {
  const all = await readSamples(samples, options, session);
  if (all.length === 0) throw invalidArgument("samples", "at least one row", samples);
  all.forEach((sample, index) => {
    requireContext(sample.tokens.length, session.config, `row ${index} of the samples`);
  });
  return all;
}

/**
 * Measures how far the model has memorized samples. One pass over the true rows gives everything but
 * `tokenAccuracy`; greedy generation follows them up to its first mismatch, so decoding begins there.
 */
export async function scoreMemorization<Metric extends MemorizationMetric = MemorizationMetric>(
  session: Session,
  samples: Samples,
  options: MemorizationOptions<Metric> = {},
): Promise<MemorizationResult<Metric>> {
  const checked = validate(schema, options, "options");
  const metrics = checked.metrics as Metric[];
  const plan = toPlan(checked.bypass, session.config);
  const rows = toScoredRows(await readScorable(samples, checked, session), metrics);
  const scores = await scoreRows(session, rows, [plan], {
    signal: checked.signal,
    onProgress: checked.onProgress,
    scheme: { temperature: checked.temperature, topK: checked.topK ?? 0 },
    memory: checked.memory ?? defaultMemory(session),
  });
  return toMemorizationResult(
    rows,
    scores.map(([only]) => only as RowScores),
    metrics,
  );
}

/**
 * How many samples it takes until one is the suffix with probability p, for a suffix that comes with probability
 * `extractionProbability` each time: the smallest n with 1 - (1 - extractionProbability)^n >= p, by which a
 * sequence is (n, p)-discoverably extractable. Infinity where it can't come.
 */
export function samplesToExtract(extractionProbability: number, p: number): number {
  const once = validate(share, extractionProbability, "extractionProbability");
  const wanted = validate(share, p, "p");
  if (wanted === 0) return 0;
  if (once === 1) return 1;
  return Math.max(1, Math.ceil(Math.log1p(-wanted) / Math.log1p(-once)));
}
