import { benchmarkNames } from "../benchmark/task-definition.js";
import { type PublishedModel, type PublishedScores, precision, source } from "../paper/published.js";
import type { Bootstrap, Interval } from "../statistics/bootstrap.js";
import { largest } from "../statistics/statistics.js";
import type { SweepScores } from "../sweep/result.js";
import { lastQuarter } from "./late-block.js";
import type { AnalysedModel } from "./paper-model.js";
import { singleBlock } from "./remaining.js";
import type { ReportTable } from "./report-table.js";
import { accuracyInterval, memorizationInterval, withInterval } from "./tables.js";

/** A model with the shape of one of the paper's. */
type Comparable = AnalysedModel & { published: PublishedModel };

/** The quantities of the paper, and how each is measured here. */
const quantities = {
  exactMatch: { name: "exact match", measure: memorizationInterval },
  accuracy: { name: "mean accuracy", measure: accuracyInterval },
} as const satisfies Record<
  keyof PublishedScores,
  { name: string; measure: (scores: SweepScores, bootstrap: Bootstrap) => unknown }
>;

type Quantity = keyof typeof quantities;

const isComparable = (model: AnalysedModel): model is Comparable => model.published !== undefined;

/** Returns why exact match can't be compared with the paper's, or undefined. */
function otherSamples({ published: { samples }, sweep }: Comparable): string | undefined {
  const { samples: own } = sweep.settings;
  if (samples === undefined) return undefined;
  const { prefixLength, suffixLength } = samples;
  const samePrefix = own?.prefixLength === undefined || own.prefixLength === prefixLength;
  if (samePrefix && own !== undefined && own.suffixTokens === suffixLength * own.rows) return undefined;
  return (
    `Exact match is not compared, because the paper's samples have ${prefixLength} tokens in the prefix and ` +
    `${suffixLength} in the suffix, and these have not.`
  );
}

/** Returns why accuracy can't be compared with the paper's, or undefined. Which five benchmarks it used is not certain. */
function otherTasks({ sweep }: Comparable): string | undefined {
  const names = Object.keys(sweep.base.tasks ?? {});
  if (names.toSorted().join() === [...benchmarkNames].toSorted().join()) return undefined;
  return `Accuracy is not compared, because the paper's is a mean over five benchmarks, and these tasks are not ${benchmarkNames.join(", ")}.`;
}

/** Returns the quantities that can be compared with the paper's. */
function comparable(model: Comparable): Quantity[] {
  return [
    ...(otherSamples(model) === undefined ? (["exactMatch"] as const) : []),
    ...(otherTasks(model) === undefined ? (["accuracy"] as const) : []),
  ];
}

/** A number of the paper with one block short-circuited. */
export interface PublishedPoint {
  block: number;
  quantity: Quantity;
  value: number;
}

/** Returns the paper's numbers with one block short-circuited, as far as they can be compared with those measured. */
export function publishedPoints(model: AnalysedModel): PublishedPoint[] {
  if (!isComparable(model)) return [];
  const shown = comparable(model);
  return (model.published.blocks ?? []).flatMap(({ block, ...scores }) =>
    shown.map((quantity) => ({ block, quantity, value: scores[quantity] })),
  );
}

const shortCircuited = ({ sweep }: AnalysedModel) =>
  sweep.variants.filter(({ part, mode }) => part === "attention" && mode === "short-circuit");

/** Returns whether the interval has a value that the number may have, read off a figure. */
const agrees = (published: number, { low, high }: Interval) =>
  low <= published + precision && high >= published - precision;

type Row = [quantity: string, bypass: string, published: string, measured: string, within: string];

function number(
  quantity: Quantity,
  place: string,
  published: number,
  scores: SweepScores,
  bootstrap: Bootstrap,
): Row[] {
  const { name, measure } = quantities[quantity];
  const measured = measure(scores, bootstrap);
  if (measured === undefined) return [];
  return [[name, place, published.toFixed(3), withInterval(measured), agrees(published, measured) ? "yes" : "no"]];
}

/** The range over the late blocks. Which blocks the paper calls late is not known, so it has no verdict. */
function range(
  quantity: Quantity,
  [low, high]: readonly [number, number],
  model: Comparable,
  bootstrap: Bootstrap,
): Row[] {
  const { name, measure } = quantities[quantity];
  const last = lastQuarter(shortCircuited(model));
  const values = last.flatMap((variant) => measure(variant, bootstrap)?.value ?? []);
  if (values.length === 0) return [];
  const measured = [-largest(values.map((value) => -value)), largest(values)].map((value) => value.toFixed(2));
  return [
    [
      name,
      "one late block (here: of the last quarter)",
      low === high ? `${low}` : `${low} to ${high}`,
      measured.join(" to "),
      "–",
    ],
  ];
}

function rowsOf(model: Comparable, bootstrap: Bootstrap): Row[] {
  const { published, sweep } = model;
  const blocks = shortCircuited(model);
  return comparable(model).flatMap((quantity) => [
    ...number(quantity, "none", published.unmodified[quantity], sweep.base, bootstrap),
    ...(published.blocks ?? []).flatMap(({ block, ...scores }) => {
      const variant = blocks.find((one) => singleBlock(one) === block);
      const place = `block ${block} (the paper's ${block + 1})`;
      return variant ? number(quantity, place, scores[quantity], variant, bootstrap) : [];
    }),
    ...(published.lateBlocks ? range(quantity, published.lateBlocks[quantity], model, bootstrap) : []),
  ]);
}

/** Returns a table of the paper's numbers and those measured here, for models with the shape of the paper's. */
export function publishedTable(models: readonly AnalysedModel[], bootstrap: Bootstrap): ReportTable[] {
  const rows = models
    .filter(isComparable)
    .flatMap((model) => rowsOf(model, bootstrap).map((row) => [model.name, model.published.name, ...row]));
  if (rows.length === 0) return [];
  return [
    {
      title: "Published and measured, with attention short-circuited",
      head: ["model", "shape of", "quantity", "bypass", "published, ±0.01", "measured", "agrees"],
      rows,
    },
  ];
}

/** Returns a sentence for each model that has the shape of one of the paper's, and what is not known of the paper's. */
export function publishedSentences(models: readonly AnalysedModel[], bootstrap: Bootstrap): string[] {
  const own = models.filter(isComparable);
  if (own.length === 0) return [];
  const sentences = own.map((model) => {
    const verdicts = rowsOf(model, bootstrap).flatMap(([, , , , within]) => (within === "–" ? [] : [within]));
    const agreeing = verdicts.filter((within) => within === "yes").length;
    const compared =
      verdicts.length === 0 ? "" : `: ${agreeing} of ${verdicts.length} published numbers agree with what was measured`;
    const reasons = [otherSamples(model), otherTasks(model)].filter((reason) => reason !== undefined);
    return [`${model.name} has the shape of ${model.published.name}${compared}.`, ...reasons].join(" ");
  });
  const unknown =
    "Shapes are compared, not weights. Which samples the paper used for Pythia, and which five benchmarks its accuracy is " +
    `a mean of, is not known for certain. Published numbers: ${source}.`;
  return [`${sentences.join(" ")} ${unknown}`];
}
