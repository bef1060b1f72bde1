import { type MemorizationMetric, memorizationMetrics } from "../metrics/memorization.js";
import type { SweepResult, SweepScores } from "../sweep/result.js";

/** The memorized rows and the control rows of a sweep. */
export type Rows = "memorized" | "control";

/** Metrics that are sums or counts over the suffix. Their means are divided by the mean number of suffix tokens. */
const overSuffix: readonly MemorizationMetric[] = ["completionEntropy", "suffixLogLikelihood", "extractableLength"];

/**
 * The metrics in which a control can lose as much as memorized rows, the preferred first. Accuracy has no outliers; the
 * log-likelihood has no lower limit. Others, such as exact match, are near 0 for a control without any bypass.
 */
const preferred: readonly MemorizationMetric[] = ["teacherForcedAccuracy", "suffixLogLikelihood"];

/** How reports and sentences write a metric. */
export interface MetricForm {
  name: string;
  unit: "points" | "nats";
  /** The factor from the metric to the unit. */
  scale: number;
  decimals: number;
}

const shareForm = (name: string): MetricForm => ({ name, unit: "points", scale: 100, decimals: 1 });
const natsForm = (name: string): MetricForm => ({ name, unit: "nats", scale: 1, decimals: 2 });

const forms: Readonly<Partial<Record<MemorizationMetric, MetricForm>>> = {
  exactMatch: shareForm("exact match"),
  tokenAccuracy: shareForm("token accuracy"),
  teacherForcedAccuracy: shareForm("teacher-forced accuracy"),
  extractableLength: shareForm("extractable length as a share of the suffix"),
  extractionProbability: shareForm("extraction probability"),
  suffixLogLikelihood: natsForm("log-likelihood per suffix token"),
  completionEntropy: natsForm("entropy per suffix token"),
};

/** Returns how a metric is written. Metrics without a form of their own are shares. */
export const formOf = (metric: MemorizationMetric): MetricForm => forms[metric] ?? shareForm(metric);

/** Returns the metrics that a sweep measured, in the order in which `memorizationMetrics` lists them. */
export function measuredMetrics({ base }: SweepResult): MemorizationMetric[] {
  return memorizationMetrics.filter((metric) => base.memorization?.perRow[0]?.[metric] !== undefined);
}

/** Returns the measured metrics in which selectivity means most: at most two, the first of which sentences use. */
export function chosenMetrics(sweep: SweepResult): MemorizationMetric[] {
  const measured = measuredMetrics(sweep);
  const chosen = preferred.filter((metric) => measured.includes(metric));
  return chosen.length > 0 ? chosen : measured.slice(0, 1);
}

/** Returns whether a metric cannot fall below 0. */
export const endsAtZero = (metric: MemorizationMetric): boolean => metric !== "suffixLogLikelihood";

/** Returns the values of a metric, one for each row; sums and counts per suffix token. */
export function metricColumn(
  scores: SweepScores,
  rows: Rows,
  metric: MemorizationMetric,
  { settings }: SweepResult,
): number[] {
  const { perRow = [] } = (rows === "control" ? scores.control : scores.memorization) ?? {};
  const of = rows === "control" ? settings.control : settings.samples;
  const length = overSuffix.includes(metric) && of ? of.suffixTokens / of.rows : 1;
  return perRow.map((row) => row[metric] / length);
}
