import * as v from "valibot";
import { type Bypass, toPlan } from "../bypass/bypass.js";
import { readSamples, type Sample, type SampleOptions, type Samples } from "../data/samples.js";
import { invalidArgument, share, validate, wholeNumber } from "../errors/validation.js";
import { type OperationOptions, part, rising } from "../operation/operation.js";
import { oneBypass, scoreUnder } from "../scoring/one-bypass.js";
import type { RowScores, ScoredRow } from "../scoring/scored-row.js";
import { defaultMemory } from "../session/memory-budget.js";
import type { Session } from "../session/session.js";
import { requireContext } from "../tokenizer/tokens.js";
import {
  comparedMetrics,
  type DefaultMemorizationMetric,
  defaultMemorizationMetrics,
  type MemorizationMetric,
  type MemorizationScores,
  memorizationMetrics,
} from "./memorization-scores.js";
import { addSampledMatches, samplingWork } from "./sampled-match.js";

/** Options of `model.scoreMemorization`. */
export interface MemorizationOptions<Metric extends MemorizationMetric = DefaultMemorizationMetric>
  extends OperationOptions {
  /** The number of tokens at the beginning of each row that form the prefix. Required unless the samples contain it. */
  prefixLength?: number;
  /** What to bypass. Defaults to nothing. */
  bypass?: Bypass;
  /** Score only this many rows, from the first on. Defaults to all. */
  rows?: number;
  /**
   * The metrics to measure. Defaults to `defaultMemorizationMetrics`. Without "tokenAccuracy" and the near-verbatim
   * metrics the call is faster, since no token is decoded.
   */
  metrics?: readonly Metric[];
  /**
   * The memory budget of the call in bytes, in addition to the weights. Results depend on it only by rounding. Defaults
   * to 1 GiB on the CPU, or half of the available memory if that is less, and to half of the free memory of a CUDA
   * device.
   */
  memory?: number;
  /** The sampling temperature of `extractionProbability` and `sampledMatch`. Defaults to 1. */
  temperature?: number;
  /** `extractionProbability` and `sampledMatch` sample only from this many most probable tokens. Defaults to all. */
  topK?: number;
  /**
   * The largest edit distance of a match for `approximateMatch` and `sampledMatch`, divided by the length of the
   * suffix. From 0 to 1. Defaults to 0.1.
   */
  epsilon?: number;
  /** The number of sampled continuations of each row for `sampledMatch`. At most 1,000,000. Defaults to 16. */
  continuations?: number;
  /**
   * The seed of the continuations, from 0 to 2^53 - 1. Each row and continuation has its own seed, which is computed
   * from this one and the row's tokens. Defaults to 0.
   */
  seed?: number;
}

/** The metrics of samples: means over the rows, and the values of each row. */
export type MemorizationResult<Metric extends MemorizationMetric = DefaultMemorizationMetric> = Pick<
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

/** Far more would run for months. */
const maxContinuations = 1_000_000;

const continuations = v.pipe(
  v.number(),
  v.check(
    (value) => Number.isSafeInteger(value) && value >= 1 && value <= maxContinuations,
    `a whole number from 1 to ${maxContinuations}`,
  ),
);

/** The schema of the options about samples, for all calls that score them. */
export const sampleFields = {
  prefixLength: v.optional(wholeNumber(1)),
  rows: v.optional(wholeNumber(1)),
  metrics: v.optional(v.pipe(v.array(v.picklist(memorizationMetrics)), v.nonEmpty("at least one metric")), [
    ...defaultMemorizationMetrics,
  ]),
  temperature: v.optional(temperature, 1),
  topK: v.optional(wholeNumber(1)),
  epsilon: v.optional(share, 0.1),
  continuations: v.optional(continuations, 16),
  seed: v.optional(wholeNumber(0), 0),
};

const schema = v.strictObject({ ...oneBypass, ...sampleFields });

/** Returns the metrics of a row from its scores. */
function metricsOf({ tokens, first }: ScoredRow, scores: RowScores, epsilon: number): MemorizationScores {
  const length = tokens.length - first;
  // Divided, and not compared with epsilon x length, so that 5 of 50 are at most 0.1.
  const editDistance = scores.editDistance / length;
  return {
    exactMatch: scores.extractable === length ? 1 : 0,
    tokenAccuracy: scores.decoded / length,
    teacherForcedAccuracy: scores.predicted / length,
    completionEntropy: scores.entropy,
    suffixLogLikelihood: scores.logLikelihood,
    extractableLength: scores.extractable,
    extractionProbability: Math.exp(scores.schemeLogLikelihood),
    editDistance,
    commonSubsequence: scores.commonSubsequence / length,
    approximateMatch: editDistance <= epsilon ? 1 : 0,
    sampledMatch: scores.sampledMatch ?? 0,
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
  const compare = comparedMetrics.some((metric) => metrics.includes(metric));
  const decode = compare || metrics.includes("tokenAccuracy");
  const rescore = decode || metrics.includes("exactMatch");
  const sample = metrics.includes("sampledMatch");
  return samples.map(({ tokens, prefixLength }) => ({ tokens, first: prefixLength, decode, compare, rescore, sample }));
}

/** Returns the metrics of rows, and their means, from the scores of each row. `epsilon` is for `approximateMatch`. */
export function toMemorizationResult<Metric extends MemorizationMetric>(
  rows: readonly ScoredRow[],
  scores: readonly RowScores[],
  metrics: readonly Metric[],
  epsilon: number,
): MemorizationResult<Metric> {
  const perRow = rows.map((row, index) => {
    const all = metricsOf(row, scores[index] as RowScores, epsilon);
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
 * Measures how far the model has memorized samples. One forward pass over the true rows gives all metrics that need no
 * decoding. For the others, greedy decoding starts at the first mismatch, since until then it equals the true row, and
 * `sampledMatch` samples after that.
 */
export async function scoreMemorization<Metric extends MemorizationMetric = DefaultMemorizationMetric>(
  session: Session,
  samples: Samples,
  options: MemorizationOptions<Metric> = {},
): Promise<MemorizationResult<Metric>> {
  const checked = validate(schema, options, "options");
  const metrics = checked.metrics as Metric[];
  const plan = toPlan(checked.bypass, session.config);
  const rows = toScoredRows(await readScorable(samples, checked, session), metrics);
  const { temperature, topK = 0, epsilon, memory = defaultMemory(session) } = checked;
  const scheme = { temperature, topK };
  const operation = rising(checked);
  const scored = rows.length / (rows.length + samplingWork(rows, checked.continuations));
  const scores = await scoreUnder(session, rows, plan, { ...part(operation, 0, scored), memory }, scheme);
  const sampled = await addSampledMatches(
    session,
    rows,
    [plan],
    scores.map((score) => [score]),
    { ...checked, ...part(operation, scored, 1), scheme, memory },
  );
  return toMemorizationResult(rows, sampled.flat(), metrics, epsilon);
}

/**
 * Returns how often one must sample until the suffix is generated at least once with probability `p`: the smallest n
 * with 1 - (1 - extractionProbability)^n >= p, so that the sequence is (n, p)-discoverably extractable. With
 * `sampledMatch` as the probability, n is the one of (epsilon, n, p)-discoverable extraction, up to the uncertainty of
 * a share of `continuations` samples. Both definitions are those of Hayes et al., "Measuring memorization in language
 * models via probabilistic extraction" (2025). Returns Infinity if `extractionProbability` is 0. Throws
 * INVALID_ARGUMENT unless both are numbers from 0 to 1.
 */
export function samplesToExtract(extractionProbability: number, p: number): number {
  const once = validate(share, extractionProbability, "extractionProbability");
  const wanted = validate(share, p, "p");
  if (wanted === 0) return 0;
  if (once === 1) return 1;
  return Math.max(1, Math.ceil(Math.log1p(-wanted) / Math.log1p(-once)));
}
