import type { AttentionSurvey } from "./attention.js";
import type { BenchmarkResult } from "./benchmark.js";
import type { Interval } from "./bootstrap.js";
import type { Divergence } from "./divergence.js";
import { type MemorizationMetric, type MemorizationResult, memorizationMetrics } from "./memorization.js";
import type { Candidate, Recommendation } from "./recommend.js";
import { recommendationSentences } from "./recommendation-sentences.js";
import { mean } from "./statistics.js";
import type { AnySweepResult, SweepResult } from "./sweep.js";
import { sweepTable } from "./sweep-table.js";
import { formatNumber, table, wrap } from "./text-form.js";

const shareText = (value: number) => `${(100 * value).toFixed(1)} %`;

/** The means of what was measured. */
export function memorizationText(result: MemorizationResult<never> | MemorizationResult): string {
  const measured = memorizationMetrics.filter((metric) => metric in result);
  return table([
    ["metric", result.rows === 1 ? "1 row" : `mean of ${result.rows} rows`],
    ...measured.map((metric) => [metric, formatNumber((result as Record<MemorizationMetric, number>)[metric])]),
  ]);
}

/** A line for the unmodified model and each variant, and what it cost. */
export function sweepText(result: AnySweepResult): string {
  const { seconds, operations } = result.cost;
  // The names say the part, and the width of a terminal is short.
  const rows = sweepTable(result as SweepResult).map(([name, _part, ...row]) =>
    [name as string, ...row].map((cell) => (typeof cell === "number" ? formatNumber(cell) : cell)),
  );
  return `${table(rows, 3)}\n${seconds.toFixed(1)} s, ${(operations / 1e12).toPrecision(3)} trillion operations\n`;
}

const taskMetrics = ["accuracy", "normalizedAccuracy", "perplexity"] as const;

/** A line for each task and metric. */
export function benchmarkText(result: BenchmarkResult): string {
  const rows = Object.entries(result).flatMap(([name, scores]) =>
    taskMetrics.flatMap((metric) => {
      const value = scores[metric];
      const error = scores.standardErrors[metric];
      return value === undefined
        ? []
        : [[name, metric, formatNumber(value), error === undefined ? "" : `± ${formatNumber(error)}`]];
    }),
  );
  return table([["task", "metric", "value", "standard error"], ...rows]);
}

/** The Pareto front, the bypass to take, and what that rests on. */
export function recommendationText(recommendation: Recommendation): string {
  const { base, front } = recommendation;
  const interval = ({ value, low, high }: Interval, scale = 100) => {
    const [middle, from, to] = [value, low, high].map((number) => (scale * number).toFixed(1));
    return `${middle} [${from}, ${to}]`;
  };
  const measured = base.perplexity !== undefined;
  const line = (
    name: string,
    mode: string,
    of: Pick<Candidate, "memorization" | "ability" | "perplexity">,
    loss = "",
  ) => [
    name,
    mode,
    interval(of.memorization),
    interval(of.ability),
    loss,
    ...(measured ? [(of.perplexity ?? Number.NaN).toPrecision(4)] : []),
  ];
  const rows = [
    ["bypass", "mode", "exact match, %", "accuracy, %", "points lost", ...(measured ? ["perplexity"] : [])],
    line("none", "", base),
    ...front.map((one) => line(one.name, one.mode, one, interval(one.loss, 1))),
  ];
  return `${table(rows, 2)}\n${wrap(recommendationSentences(recommendation).join(" "))}\n`;
}

/** What each block's attention and its heads add, as shares of the residual stream. */
export function attentionText({ blocks, tokens }: AttentionSurvey): string {
  const heads = blocks[0]?.heads.map((_, head) => `head ${head}`) ?? [];
  const rows = blocks.map(({ share, heads }, block) => [`block ${block}`, ...[share, ...heads].map(shareText)]);
  return `${table([["added, of the stream", "attention", ...heads], ...rows])}\nmeans over ${tokens} tokens\n`;
}

/** Means over the tokens, of each block from the first that is bypassed. */
export function divergenceText({ blocks, output }: Divergence): string {
  const rows = blocks.map(({ block, stream, distance, bound }) => [
    `block ${block}`,
    ...[stream, distance, bound].map((values) => formatNumber(mean(values))),
  ]);
  const kl = `${formatNumber(mean(output.divergence))} nats, at most ${formatNumber(mean(output.bound))}`;
  return (
    `${table([["mean over tokens", "stream", "distance", "bound"], ...rows])}\nKL divergence of the next token: ${kl}; ` +
    `most probable token another: ${shareText(output.changed)}, proven the same: ${shareText(output.certain)}\n`
  );
}
