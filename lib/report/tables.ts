import type { Selectivity } from "../selectivity/result.js";
import { Bootstrap, type Interval } from "../statistics/bootstrap.js";
import { largest, type Measured, mean } from "../statistics/statistics.js";
import type { SweepResult, SweepScores } from "../sweep/result.js";
import { answers, memorizationMetric, type RelativeResult, rowValues } from "./remaining.js";
import type { ReportTable } from "./report-table.js";
import { selectivityTable } from "./selectivity-table.js";

const missing = "–";

/** Returns a share as a percentage, such as 46 %. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return missing;
  const hundredths = 100 * share;
  if (Math.abs(hundredths) >= 1e5) return `${hundredths.toExponential(1)} %`;
  return `${hundredths.toFixed(share !== 0 && Math.abs(hundredths) < 9.95 ? 1 : 0)} %`;
}

/** Returns a share and its interval, such as 46 % [31, 60]. */
export function withInterval(interval: Interval | undefined): string {
  if (interval === undefined) return missing;
  const { value, low, high } = interval;
  return `${percent(value)} [${[low, high].map((end) => percent(end).replace(" %", "")).join(", ")}]`;
}

/** Returns a share in percent with its standard error, which a single question does not have. */
const withError = ({ value, standardError }: Measured) =>
  `${(100 * value).toFixed(1)}${standardError === undefined ? "" : ` ± ${(100 * standardError).toFixed(1)}`}`;

const plain = (value: number | undefined) =>
  value === undefined || !Number.isFinite(value) ? missing : value.toPrecision(4);

/** The metrics that are shares from 0 to 1. */
const shares: readonly string[] = ["exactMatch", "tokenAccuracy", "teacherForcedAccuracy", "extractionProbability"];

export const metricNames: Record<string, string> = {
  exactMatch: "exact match",
  tokenAccuracy: "token accuracy",
  teacherForcedAccuracy: "teacher-forced accuracy",
  extractableLength: "extractable length",
  extractionProbability: "extraction probability",
};

/** Returns the mean of the memorization metric with its interval. */
export function memorizationInterval(scores: SweepScores, bootstrap = new Bootstrap()): Interval | undefined {
  const metric = memorizationMetric(scores);
  if (metric === undefined) return undefined;
  return bootstrap.interval([[rowValues(scores, metric)]], ([means]) => (means as number[])[0] as number);
}

/** Returns the accuracy, a mean over tasks, with its interval. Undefined without tasks. */
export function accuracyInterval({ tasks = {} }: SweepScores, bootstrap = new Bootstrap()): Interval | undefined {
  const tables = Object.values(tasks).map((task) => [answers(task)]);
  if (tables.length === 0) return undefined;
  return bootstrap.interval(tables, (means) => mean(means.map(([accuracy]) => accuracy as number)));
}

/** Returns a table of what was measured without a bypass and with each. */
export function measuredTable(
  { base, variants }: SweepResult,
  { metric, bypasses }: RelativeResult,
  bootstrap = new Bootstrap(),
): ReportTable {
  const tasks = Object.keys(base.tasks ?? {});
  const entropy = base.memorization?.completionEntropy !== undefined;
  const asShare = metric !== undefined && shares.includes(metric);
  const controlled = metric !== undefined && base.control !== undefined;
  const controlCell = ({ control }: SweepScores) =>
    asShare
      ? withInterval(memorizationInterval({ ...(control && { memorization: control }) }, bootstrap))
      : plain(metric && control?.[metric]);
  const cells = (scores: SweepScores) => [
    ...(metric === undefined
      ? []
      : [asShare ? withInterval(memorizationInterval(scores, bootstrap)) : plain(scores.memorization?.[metric])]),
    ...(controlled ? [controlCell(scores)] : []),
    ...(entropy ? [plain(scores.memorization?.completionEntropy)] : []),
    ...(base.perplexity ? [plain(scores.perplexity?.perplexity)] : []),
    ...tasks.map((name) => {
      const task = scores.tasks?.[name];
      if (task === undefined) return missing;
      const { accuracy: standardError } = task.standardErrors;
      return withError({ value: task.accuracy, ...(standardError !== undefined && { standardError }) });
    }),
  ];
  const share = [
    ...(metric === undefined ? [] : ["memorization remaining"]),
    ...(tasks.length > 0 ? ["ability remaining"] : []),
  ];
  const shareCells = (memorization: string, ability: string) => [
    ...(metric === undefined ? [] : [memorization]),
    ...(tasks.length > 0 ? [ability] : []),
  ];
  return {
    title: "Measurements under each bypass",
    head: [
      "bypass",
      "mode",
      ...(metric === undefined ? [] : [metricNames[metric] as string]),
      ...(controlled ? [`${metricNames[metric] as string}, control`] : []),
      ...(entropy ? ["completion entropy"] : []),
      ...(base.perplexity ? ["perplexity"] : []),
      ...tasks.map((name) => `${name}, %`),
      ...share,
    ],
    rows: [
      ["none", "", ...cells(base), ...shareCells("", "")],
      ...variants.map((variant, index) => [
        variant.name,
        variant.mode,
        ...cells(variant),
        ...shareCells(withInterval(bypasses[index]?.memorization), withInterval(bypasses[index]?.ability)),
      ]),
    ],
  };
}

function surveyed({ variants }: SweepResult): ReportTable[] {
  const found = variants.filter(({ divergence }) => divergence !== undefined);
  if (found.length === 0) return [];
  return [
    {
      title: "Divergence from the unmodified model",
      head: [
        "bypass",
        "mode",
        "distance after the last block",
        "distance bound",
        "KL, nats",
        "KL bound",
        "top-1 token changed",
        "provably unchanged",
      ],
      rows: found.map(({ name, mode, divergence }) => {
        const last = divergence?.blocks.at(-1);
        const { output } = divergence ?? {};
        return [
          name,
          mode,
          percent(last?.distance ?? Number.NaN),
          percent(last?.bound ?? Number.NaN),
          plain(output?.divergence),
          plain(output?.bound),
          percent(output?.topTokenChanged ?? Number.NaN),
          percent(output?.topTokenProvenUnchanged ?? Number.NaN),
        ];
      }),
    },
  ];
}

function attention({ attention = [] }: SweepResult): ReportTable[] {
  if (attention.length === 0) return [];
  const heads = largest(attention.map(({ heads }) => heads.length));
  return [
    {
      title: "Norm of the attention outputs, as a share of the residual stream's norm after the block",
      head: ["block", "attention", ...Array.from({ length: heads }, (_, head) => `head ${head}`)],
      rows: attention.map(({ share, heads }, block) => [String(block), percent(share), ...heads.map(percent)]),
    },
  ];
}

/** Returns the tables for which the sweep has the data. */
export function sweepTables(
  result: SweepResult,
  relative: RelativeResult,
  selectivity: Selectivity | undefined,
): ReportTable[] {
  return [
    measuredTable(result, relative),
    ...(selectivity ? [selectivityTable(selectivity)] : []),
    ...surveyed(result),
    ...attention(result),
  ];
}
