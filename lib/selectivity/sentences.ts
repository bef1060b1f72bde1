import type { MemorizationMetric } from "../metrics/memorization-scores.js";
import type { Interval } from "../statistics/bootstrap.js";
import { formOf } from "./metrics.js";
import type { DeepBlocksComparison, DeepBlocksMetric, MetricSelectivity, Selectivity } from "./result.js";

/** With fewer random sets, no rank is in the top 5 %. */
const fewestSets = 19;

/** Returns a number in the unit of a metric, without a negative zero. */
function fixed(value: number, metric: MemorizationMetric): string {
  const { scale, decimals } = formOf(metric);
  return (Math.round(value * scale * 10 ** decimals) / 10 ** decimals + 0).toFixed(decimals);
}

const ends = ({ low, high }: Interval, metric: MemorizationMetric) => `[${fixed(low, metric)}, ${fixed(high, metric)}]`;

const negative = ({ value, low, high }: Interval): Interval => ({ value: -value, low: -high, high: -low });

/** Returns an amount with its interval, such as "3.6 points [3.0, 4.3]". */
export const amount = (interval: Interval, metric: MemorizationMetric): string =>
  `${fixed(interval.value, metric)} ${formOf(metric).unit} ${ends(interval, metric)}`;

/** Returns a level with its interval, such as "49 % [46, 52]". */
function level(interval: Interval, metric: MemorizationMetric): string {
  if (formOf(metric).unit === "nats") return amount(interval, metric);
  const percent = (value: number) => `${Math.round(100 * value) + 0}`;
  return `${percent(interval.value)} % [${percent(interval.low)}, ${percent(interval.high)}]`;
}

const moves = (drop: Interval) => (drop.value < 0 ? "raises" : "lowers");
const by = (drop: Interval, metric: MemorizationMetric) => amount(drop.value < 0 ? negative(drop) : drop, metric);

function base({ memorizedRows, controlRows, base, compared: [metric] }: Selectivity): string[] {
  const levels = metric === undefined ? undefined : base[metric];
  if (metric === undefined || levels === undefined) return [];
  const { name } = formOf(metric);
  const exact = base.exactMatch;
  const poor = exact !== undefined && exact.control.value < 0.05 * exact.memorized.value;
  const what = exact?.control.value === 0 ? "nothing" : "almost nothing";
  return [
    `Without a bypass, ${name} is ${level(levels.memorized, metric)} on the ${memorizedRows} memorized rows and ` +
      `${level(levels.control, metric)} on the ${controlRows} control rows.`,
    ...(poor && metric !== "exactMatch"
      ? [
          `Exact match is ${level(exact.control, "exactMatch")} on the control rows, which have ${what} to lose in it, so ` +
            `selectivity is given in ${name}.`,
        ]
      : []),
    ...(poor && metric === "exactMatch"
      ? [
          `The control rows have ${what} to lose in exact match; measure teacherForcedAccuracy or suffixLogLikelihood too.`,
        ]
      : []),
  ];
}

const places = { quartile: "the last quarter of the blocks", blocks: "one block of the second half (mean)" };

function conclusion({ selectivity, controlLimited }: MetricSelectivity): string {
  if (controlLimited) return "The control rows could not lose as much, so the selectivity is above 0 in any case.";
  if (selectivity.low > 0) return "This attention matters more to the memorized rows than to the control rows.";
  if (selectivity.high < 0) return "This attention matters less to the memorized rows than to the control rows.";
  return "The interval includes 0, so these rows do not show that this attention matters more to memorized text than to other text.";
}

function ofAttention(
  { mode, over }: DeepBlocksComparison,
  metric: MemorizationMetric,
  { attention }: DeepBlocksMetric,
  first: boolean,
): string {
  const { memorized, control, selectivity } = attention;
  const again = moves(memorized) === moves(control) ? "" : `${moves(control)} it `;
  const definition = first ? ", which is the drop on the memorized rows minus the drop on the control rows," : "";
  return (
    `In mode ${mode}, bypassing the attention of ${places[over]} ${moves(memorized)} ${formOf(metric).name} by ` +
    `${by(memorized, metric)} on the memorized rows and ${again}by ${by(control, metric)} on the control rows. The ` +
    `selectivity${definition} is ${amount(selectivity, metric)}. ${conclusion(attention)}`
  );
}

/** Whether attention is more (1) or less (-1) selective than the MLPs at 95 %, or undecided (0). */
const verdict = ({ low, high }: Interval) => (low > 0 ? 1 : high < 0 ? -1 : 0);

function compared(difference: Interval, metric: MemorizationMetric): string {
  const more = difference.value < 0 ? "less" : "more";
  return `attention is ${more} selective by ${amount(difference.value < 0 ? negative(difference) : difference, metric)}`;
}

function againstMlps(metric: MemorizationMetric, { attention, mlp }: DeepBlocksMetric): string[] {
  if (mlp === undefined) return [];
  const { difference, selectivity } = mlp;
  const harsher = attention.control.value > mlp.control.value;
  const end = {
    1: ", so it stands out from these MLPs at 95 %",
    [-1]: ", so it does not stand out from these MLPs",
    0: "; the interval includes 0, so it does not stand out from these MLPs at 95 %",
  }[verdict(difference)];
  const damage =
    verdict(difference) > 0 && harsher
      ? ` It also lowers the control rows by more (${by(attention.control, metric)}, and the MLPs by ` +
        `${amount(mlp.control, metric)}), so the size of the damage may explain this.`
      : "";
  return [
    `Bypassing the MLPs of the same blocks has a selectivity of ${amount(selectivity, metric)}. In comparison, ` +
      `${compared(difference, metric)}${end}.${damage}`,
  ];
}

/** Says what the second metric shows of attention, if that is not what the first one shows. */
function contradicted(first: DeepBlocksMetric, metric: MemorizationMetric, { attention }: DeepBlocksMetric): string[] {
  if (verdict(attention.selectivity) === verdict(first.attention.selectivity)) return [];
  const { name } = formOf(metric);
  return [`In ${name}, the selectivity is ${amount(attention.selectivity, metric)}, which does not agree.`];
}

/** Says what the second metric shows of the comparison with MLPs. */
function inOther(first: DeepBlocksMetric, metric: MemorizationMetric, { mlp }: DeepBlocksMetric): string[] {
  if (mlp === undefined || first.mlp === undefined) return [];
  const agree = verdict(mlp.difference) === verdict(first.mlp.difference);
  return [
    `In ${formOf(metric).name}, ${compared(mlp.difference, metric)}: the two metrics ${agree ? "agree" : "do not agree"}.`,
  ];
}

const blocksOf = (size: number) => `${size} block${size === 1 ? "" : "s"}`;

function againstRandom({ random }: DeepBlocksMetric, size: number): string[] {
  if (random === undefined) return [];
  const { sets, atLeast, atLeastWithoutMoreLoss, rankProbability } = random;
  const noMore =
    atLeast === 0 ? "" : `, ${atLeastWithoutMoreLoss || "none"} of them without a larger drop on the control rows`;
  const p = `p = ${rankProbability.toFixed(rankProbability < 0.1 ? 3 : 2)}`;
  const rank =
    sets < fewestSets
      ? `This is too few to show a rank in the top 5 %, which needs at least ${fewestSets} sets.`
      : rankProbability <= 0.05
        ? `By this rank, the last quarter stands out from random sets of its size (${p}).`
        : `By this rank, the last quarter does not stand out from random sets of its size (${p}).`;
  return [
    `Of ${sets} other random sets of ${blocksOf(size)}, bypassing the attention of ${atLeast} is at least as selective${noMore}. ${rank}`,
  ];
}

function missing({ deepBlocks }: Selectivity): string[] {
  const [first] = deepBlocks;
  if (first === undefined) {
    return [
      "The sweep bypasses the attention of neither the last quarter of the blocks nor a block of the second half, so it " +
        "does not show whether attention in the deep blocks stands out.",
    ];
  }
  const none = (part: "mlp" | "random") =>
    deepBlocks.every(({ metrics }) => Object.values(metrics).every((metric) => metric[part] === undefined));
  const size = first.blocks.length;
  return [
    ...(none("mlp")
      ? [
          "The sweep does not bypass the MLPs of these blocks, so it does not show whether attention stands out from them.",
        ]
      : []),
    ...(none("random") && first.over === "quartile"
      ? [
          `The sweep has no random sets of ${blocksOf(size)}, so it does not show whether the last quarter stands out from ` +
            "other sets of its size.",
        ]
      : []),
  ];
}

function ofComparison(
  comparison: DeepBlocksComparison,
  [metric, other]: readonly MemorizationMetric[],
  first: boolean,
): string[] {
  const all = metric && comparison.metrics[metric];
  if (metric === undefined || all === undefined) return [];
  const second = other && comparison.metrics[other];
  return [
    [
      ofAttention(comparison, metric, all, first),
      ...(other && second ? contradicted(all, other, second) : []),
      ...againstMlps(metric, all),
      ...(other && second ? inOther(all, other, second) : []),
      ...againstRandom(all, comparison.blocks.length),
    ].join(" "),
  ];
}

/** Returns what the control shows as sentences: paragraphs, each of one or more sentences. */
export function selectivitySentences(selectivity: Selectivity): string[] {
  return [
    base(selectivity).join(" "),
    ...selectivity.deepBlocks.flatMap((comparison, index) =>
      ofComparison(comparison, selectivity.compared, index === 0),
    ),
    missing(selectivity).join(" "),
  ].filter(Boolean);
}
