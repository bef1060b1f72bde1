import type { Bootstrap, Interval } from "../statistics/bootstrap.js";
import { largest } from "../statistics/statistics.js";
import type { SweepScores, SweptVariant } from "../sweep/result.js";
import { colours, type Figure } from "./figure.js";
import type { AnalysedModel } from "./paper-model.js";
import { blockPanel, type Drawn, grid, type Look, quarterPanel } from "./paper-panel.js";
import { publishedPoints } from "./paper-published.js";
import { scaleFigure } from "./paper-scale.js";
import { quartileOf, rowValues, singleBlock } from "./remaining.js";
import { sameSetting, settingTitle } from "./setting.js";
import { accuracyInterval, memorizationInterval } from "./tables.js";

/** Returns the quantities of a figure, each with its interval, under a bypass or without one. */
type Measure = (scores: SweepScores) => ({ what: string } & Interval)[];

/** The place of a variant on the x axis, or undefined if the figure does not show it. */
type Place = (variant: SweptVariant) => number | string | undefined;

const exactMatch = "exact match";
const accuracy = "mean accuracy";
const memorized = "memorized rows";
const control = "control rows";

const columns =
  "Columns are what is bypassed; the paper short-circuits attention. Dashed lines are the unmodified model.";
const byBlock = `${columns} Blocks are numbered from 0.`;
const bands = "Bands are 95 % confidence intervals by bootstrap over rows and questions.";

const shares: Look = {
  quantities: { [exactMatch]: colours.memorization, [accuracy]: colours.ability },
  y: { title: "share" },
  height: 150,
};

const atQuarter: Place = (variant) => {
  const quartile = quartileOf(variant);
  return quartile === undefined ? undefined : `Q${quartile}`;
};

/** Returns the ends of a logarithmic axis. The completion entropy of a row can be near 0 but is not 0. */
function around(values: readonly Interval[]): [number, number] {
  const ends = values.flatMap(({ low, high }) => [low, high]).filter((end) => end > 0);
  return [0.8 / largest(ends.map((end) => 1 / end)), 1.25 * largest(ends)];
}

/** Returns a panel for each model and setting, all with the axis that the largest value of their model needs. */
function panels(
  models: readonly AnalysedModel[],
  look: Look,
  measure: Measure,
  place: Place,
  draw: typeof blockPanel,
): object {
  const drawn = new Map(
    models.map(({ name, sweep }) => {
      const values = sweep.variants.flatMap((variant) => {
        const at = place(variant);
        return at === undefined ? [] : measure(variant).map((value) => ({ ...value, place: at, variant }));
      });
      return [name, { values, unmodified: measure(sweep.base) }];
    }),
  );
  return grid(models, look, (model, setting, width, ownLook) => {
    const { values, unmodified } = drawn.get(model.name) as {
      values: (Drawn & { variant: SweptVariant })[];
      unmodified: ReturnType<Measure>;
    };
    const isSame = sameSetting(setting);
    const isPapers = draw === blockPanel && look === shares && setting.mode === "short-circuit";
    return draw(
      {
        title: settingTitle(setting),
        width,
        values: values.filter(({ variant }) => isSame(variant)).map(({ variant: _, ...value }) => value),
        unmodified: unmodified.map(({ what, value }) => ({ what, value })),
        domain: look.y.logarithmic ? around([...values, ...unmodified]) : [0, 1],
        ...(isPapers && {
          published: publishedPoints(model).map(({ block, quantity, value }) => ({
            place: block,
            what: quantity === "exactMatch" ? exactMatch : accuracy,
            value,
          })),
        }),
      },
      ownLook,
    );
  });
}

/** Returns the figures of the experiment. The scale of the models is left out if there is only one. */
export function paperFigures(models: readonly AnalysedModel[], bootstrap: Bootstrap): Figure[] {
  const named = (what: string, interval: Interval | undefined) =>
    interval === undefined ? [] : [{ what, ...interval }];
  const metric = (rows: SweepScores["memorization"], name: "completionEntropy" | "teacherForcedAccuracy") =>
    rows?.perRow[0]?.[name] === undefined
      ? undefined
      : bootstrap.interval([[rowValues({ memorization: rows }, name)]], ([means]) => means?.[0] as number);
  const both: Measure = (scores) => [
    ...named(exactMatch, memorizationInterval(scores, bootstrap)),
    ...named(accuracy, accuracyInterval(scores, bootstrap)),
  ];
  const entropy: Measure = ({ memorization }) => named("completion entropy", metric(memorization, "completionEntropy"));
  const tokens: Measure = (scores) => [
    ...named(memorized, metric(scores.memorization, "teacherForcedAccuracy")),
    ...named(control, metric(scores.control, "teacherForcedAccuracy")),
  ];
  const hasPublished = models.some((model) => publishedPoints(model).length > 0);
  const hasControl = models.some(({ sweep }) => sweep.base.control !== undefined);
  const entropies: Look = {
    quantities: { "completion entropy": colours.neutral },
    y: { title: "entropy, nats", logarithmic: true },
    height: 110,
  };
  const tokenShares: Look = {
    quantities: { [memorized]: colours.memorization, [control]: colours.neutral },
    y: { title: "top-1 accuracy" },
    height: 130,
  };
  return [
    {
      name: "by-block",
      title: "Exact match and accuracy by block",
      caption:
        `Exact match on the memorized samples, and the mean accuracy over tasks, with one block bypassed. ${byBlock} ${bands}` +
        (hasPublished ? " Open diamonds are the paper's numbers, read off its figures, about ±0.01." : ""),
      spec: panels(models, shares, both, singleBlock, blockPanel),
    },
    {
      name: "by-quartile",
      title: "Exact match and accuracy by quarter of the blocks",
      caption:
        "Exact match and mean accuracy with a quarter of the blocks bypassed. Q1 is the quarter next to the input. " +
        `${columns} Lines are 95 % confidence intervals.`,
      spec: panels(models, shares, both, atQuarter, quarterPanel),
    },
    {
      name: "entropy",
      title: "Completion entropy by block",
      caption:
        "The entropy of the next token, summed over the suffix of a memorized sample given its true tokens, a mean over " +
        `samples, with one block bypassed, on a logarithmic axis. ${byBlock} ${bands}`,
      spec: panels(models, entropies, entropy, singleBlock, blockPanel),
    },
    ...(hasControl
      ? [
          {
            name: "control",
            title: "Memorized rows and control rows",
            caption:
              "The share of the tokens that are the most probable ones given the true tokens before them, on the memorized " +
              "samples and on control rows of the same form, with one block bypassed. " +
              `What falls only for the memorized rows is memorization. ${byBlock} ${bands}`,
            spec: panels(models, tokenShares, tokens, singleBlock, blockPanel),
          },
        ]
      : []),
    ...scaleFigure(models),
  ];
}
