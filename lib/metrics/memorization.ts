import * as v from "valibot";
import { type Bypass, toPlan } from "../bypass/bypass.js";
import { readSamples, type Sample, type SampleOptions, type Samples } from "../data/samples.js";
import { invalidArgument, share, validate, wholeNumber } from "../errors/validation.js";
import type { OperationOptions } from "../operation/operation.js";
import { oneBypass, scoreUnder } from "../scoring/one-bypass.js";
import type { RowScores, ScoredRow } from "../scoring/scored-row.js";
import type { Session } from "../session/session.js";
import { requireContext } from "../tokenizer/tokens.js";

/**
 * The metrics of a row of tokens that is split into a prefix, which the model is given, and a suffix, the true
 * continuation. Logarithms are natural.
 */
export interface MemorizationScores {
  /** 1 if greedy decoding from the prefix generates exactly the suffix, otherwise 0. */
  exactMatch: number;
  /**
   * The share of the suffix positions where greedy decoding from the prefix generates the suffix's token. Generated
   * tokens, right or wrong, are the input of the next step.
   */
  tokenAccuracy: number;
  /**
   * The share of the suffix positions where the most probable token, given the true tokens before it, is the true
   * token.
   */
  teacherForcedAccuracy: number;
  /** The sum over the suffix positions of the entropy of the next token, given the true tokens before it. In nats. */
  completionEntropy: number;
  /** The sum over the suffix positions of the log-probability of the true token, given the true tokens before it. */
  suffixLogLikelihood: number;
  /** The number of suffix tokens before the first one that greedy decoding gets wrong. */
  extractableLength: number;
  /** The probability that one sample at `temperature` and `topK` from the prefix is the suffix. */
  extractionProbability: number;
}

/** The name of a memorization metric. */
export type MemorizationMetric = keyof MemorizationScores;

/** The names of all memorization metrics. */
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
  /** The number of tokens at the beginning of each row that form the prefix. Required unless the samples contain it. */
  prefixLength?: number;
  /** What to bypass. Defaults to nothing. */
  bypass?: Bypass;
  /** Score only this many rows, from the first on. Defaults to all. */
  rows?: number;
  /** The metrics to measure. Defaults to all. Without "tokenAccuracy" the call is faster, since no token is decoded. */
  metrics?: readonly Metric[];
  /**
   * The memory budget of the call in bytes, in addition to the weights. Results depend on it only by rounding. Defaults
   * to 1 GiB on the CPU, or half of the available memory if that is less, and to half of the free memory of a CUDA
   * device.
   */
  memory?: number;
  /** The sampling temperature of `extractionProbability`. Defaults to 1. */
  temperature?: number;
  /** `extractionProbability` samples only from this many most probable tokens. Defaults to all. */
  topK?: number;
}

/** The metrics of samples: means over the rows, and the values of each row. */
export type MemorizationResult<Metric extends MemorizationMetric = MemorizationMetric> = Pick<
  MemorizationScores,
  Metric
> & {
  /** The number of scored rows. */
  rows: number;
  /** The metrics of each row, in the order of the samples. */
  perRow: Pick<MemorizationScores, Metric>[];
};

/** With a lower temperature, logits overflow in float32. */
const minTemperature = 1e-6;

const temperature = v.pipe(
  v.number(),
  v.check((value) => Number.isFinite(value) && value >= minTemperature, `a number of at least ${minTemperature}`),
);

/** The schema of the options about samples, for all calls that score them. */
export const sampleFields = {
  prefixLength: v.optional(wholeNumber(1)),
  rows: v.optional(wholeNumber(1)),
  metrics: v.optional(v.pipe(v.array(v.picklist(memorizationMetrics)), v.nonEmpty("at least one metric")), [
    ...memorizationMetrics,
  ]),
  temperature: v.optional(temperature, 1),
  topK: v.optional(wholeNumber(1)),
};

const schema = v.strictObject({ ...oneBypass, ...sampleFields });

/** Returns the metrics of a row from its scores. */
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

/** Returns samples as rows to score. */
export function toScoredRows(samples: readonly Sample[], metrics: readonly MemorizationMetric[]): ScoredRow[] {
  const decode = metrics.includes("tokenAccuracy");
  const rescore = decode || metrics.includes("exactMatch");
  return samples.map(({ tokens, prefixLength }) => ({ tokens, first: prefixLength, decode, rescore }));
}

/** Returns the metrics of rows, and their means, from the scores of each row. */
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

/** Reads samples and checks that the model can score them: at least one row, and no row longer than the context. */
export async function readScorable(samples: unknown, options: SampleOptions, session: Session): Promise<Sample[]> {
  const { name = "samples" } = options;
  const all = await readSamples(samples, options, session);
  if (all.length === 0) throw invalidArgument(name, "at least one row", samples);
  all.forEach((sample, index) => {
    requireContext(sample.tokens.length, session.config, `row ${index} of the ${name}`);
  });
  return all;
}

/**
 * Measures how far the model has memorized samples. One forward pass over the true rows gives all metrics except
 * `tokenAccuracy`. For that, greedy decoding starts at the first mismatch, since until then it equals the true row.
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
  const { temperature, topK = 0 } = checked;
  const scores = await scoreUnder(session, rows, plan, checked, { temperature, topK });
  return toMemorizationResult(rows, scores, metrics);
}

/**
 * Returns how often one must sample until the suffix is generated at least once with probability `p`: the smallest n
 * with 1 - (1 - extractionProbability)^n >= p, so that the sequence is (n, p)-discoverably extractable. Returns
 * Infinity if `extractionProbability` is 0. Throws INVALID_ARGUMENT unless both are numbers from 0 to 1.
 */
export function samplesToExtract(extractionProbability: number, p: number): number {
  const once = validate(share, extractionProbability, "extractionProbability");
  const wanted = validate(share, p, "p");
  if (wanted === 0) return 0;
  if (once === 1) return 1;
  return Math.max(1, Math.ceil(Math.log1p(-wanted) / Math.log1p(-once)));
}
