import * as v from "valibot";
import { type Bypass, toPlan } from "./bypass.js";
import type { NativeScores } from "./native.js";
import { type OperationOptions, run, step } from "./operation.js";
import { readSamples, type Sample, type Samples } from "./samples.js";
import type { Session } from "./session.js";
import { requireContext, toNativeRows } from "./tokens.js";
import { invalidArgument, longCall, positiveNumber, share, validate, wholeNumber } from "./validation.js";

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

export type MemorizationMetric = keyof MemorizationScores;

export const memorizationMetrics = [
  "exactMatch",
  "tokenAccuracy",
  "teacherForcedAccuracy",
  "completionEntropy",
  "suffixLogLikelihood",
  "extractableLength",
  "extractionProbability",
] as const satisfies readonly MemorizationMetric[];

export interface MemorizationOptions<Metric extends MemorizationMetric = MemorizationMetric> extends OperationOptions {
  /** Tokens at the beginning of each row that the model is given. Not needed where samples say it themselves. */
  prefixLength?: number;
  bypass?: Bypass;
  /** Take the first rows alone. Defaults to all. */
  rows?: number;
  /** What to measure. Defaults to everything; without "tokenAccuracy" nothing is ever decoded. */
  metrics?: readonly Metric[];
  /** How many rows travel together; results do not depend on it. Defaults to 64. */
  batchSize?: number;
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
  rows: number;
  perRow: Pick<MemorizationScores, Metric>[];
};

const schema = v.strictObject({
  ...longCall,
  prefixLength: v.optional(wholeNumber(1)),
  bypass: v.optional(v.any()),
  rows: v.optional(wholeNumber(1)),
  metrics: v.optional(v.pipe(v.array(v.picklist(memorizationMetrics)), v.nonEmpty("at least one metric")), [
    ...memorizationMetrics,
  ]),
  batchSize: v.optional(wholeNumber(1), 64),
  temperature: v.optional(positiveNumber, 1),
  topK: v.optional(wholeNumber(1)),
});

function sum(values: ArrayLike<number>, begin: number, end: number): number {
  let total = 0;
  for (let index = begin; index < end; index++) total += values[index] as number;
  return total;
}

/** The scores of one row from the values of its suffix tokens, which stand from `begin` on. */
function scoreRow({ tokens, prefixLength }: Sample, scores: NativeScores, begin: number): MemorizationScores {
  const length = tokens.length - prefixLength;
  const end = begin + length;
  const agreeing = (predictions: Int32Array) => {
    let count = 0;
    for (let index = 0; index < length; index++) {
      if (predictions[begin + index] === tokens[prefixLength + index]) count++;
    }
    return count;
  };
  let extractableLength = 0;
  while (
    extractableLength < length &&
    scores.predicted[begin + extractableLength] === tokens[prefixLength + extractableLength]
  ) {
    extractableLength++;
  }
  return {
    exactMatch: extractableLength === length ? 1 : 0,
    tokenAccuracy: agreeing(scores.decoded) / length,
    teacherForcedAccuracy: agreeing(scores.predicted) / length,
    completionEntropy: sum(scores.entropy, begin, end),
    suffixLogLikelihood: sum(scores.logLikelihood, begin, end),
    extractableLength,
    extractionProbability: Math.exp(sum(scores.schemeLogLikelihood, begin, end)),
  };
}

function pick<Metric extends MemorizationMetric>(
  value: (metric: Metric) => number,
  metrics: readonly Metric[],
): Pick<MemorizationScores, Metric> {
  return Object.fromEntries(metrics.map((metric) => [metric, value(metric)])) as Pick<MemorizationScores, Metric>;
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
  const wanted = new Set<MemorizationMetric>(metrics);
  const plan = toPlan(options.bypass, session.config);
  const all = await readSamples(samples, checked, session);
  if (all.length === 0) throw invalidArgument("samples", "at least one row", samples);
  all.forEach((sample, index) => {
    requireContext(sample.tokens.length, session.config, `row ${index} of the samples`);
  });

  const perRow: Pick<MemorizationScores, Metric>[] = [];
  const batchCount = Math.ceil(all.length / checked.batchSize);
  for (let index = 0; index < batchCount; index++) {
    const batch = all.slice(index * checked.batchSize, (index + 1) * checked.batchSize);
    const request = {
      rows: toNativeRows(batch.map((sample) => sample.tokens)),
      first: Int32Array.from(batch, (sample) => sample.prefixLength),
      entropy: wanted.has("completionEntropy"),
      scheme: wanted.has("extractionProbability")
        ? { temperature: checked.temperature, topK: checked.topK ?? 0 }
        : undefined,
      decode: wanted.has("tokenAccuracy"),
    };
    const scores = await run(session.addon, step(options, index, batchCount), (control) =>
      session.native.score(request, plan, control),
    );
    let begin = 0;
    for (const sample of batch) {
      const row = scoreRow(sample, scores, begin);
      perRow.push(pick((metric: Metric) => row[metric], metrics));
      begin += sample.tokens.length - sample.prefixLength;
    }
  }
  const mean = (metric: Metric) => perRow.reduce((total, row) => total + row[metric], 0) / perRow.length;
  return { ...pick(mean, metrics), rows: perRow.length, perRow };
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
