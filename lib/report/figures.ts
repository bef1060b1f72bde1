import type { MemorizationMetric } from "../metrics/memorization-scores.js";
import type { Selectivity } from "../selectivity/result.js";
import type { Interval } from "../statistics/bootstrap.js";
import type { SweepResult } from "../sweep/result.js";
import type { Variant } from "../sweep/variants.js";
import { ability, blockAxis, byMode, colours, type Figure, kinds, memorization } from "./figure.js";
import { byHead } from "./head-figure.js";
import { randomCaption, randomName, setDomain, setPlace } from "./random-sets.js";
import { panelOf, type RelativeResult, type RemainingShares, singleBlock } from "./remaining.js";
import {
  dropAxis,
  dropTitle,
  rowKinds,
  rowNames,
  rowsByBlock,
  rowsCaption,
  rowsPoints,
  zeroLine,
} from "./rows-panel.js";
import { selectivityFigures } from "./selectivity-figures.js";
import { definitions, interval, intervals, shareAxis } from "./share-axis.js";
import { byTask } from "./task-figure.js";
import { tradeOff } from "./trade-off.js";

interface Point extends Interval {
  what: string;
  mode: string;
}

/** Returns the memorization and ability of the bypasses for which `place` returns a place on the x axis. */
function points<Place extends object>(
  bypasses: readonly RemainingShares[],
  place: (one: RemainingShares) => Place | undefined,
): (Point & Place)[] {
  return bypasses.flatMap((one) => {
    const at = place(one);
    if (at === undefined) return [];
    const mode = panelOf(one.variant);
    return [
      ...(one.memorization ? [{ ...at, mode, what: memorization, ...one.memorization }] : []),
      ...(one.ability ? [{ ...at, mode, what: ability, ...one.ability }] : []),
    ];
  });
}

const atSingleBlock = (variant: Variant) => {
  const block = singleBlock(variant);
  return block === undefined ? undefined : { block };
};

/** Returns a dashed line at the value of the unmodified model. */
const unmodified = (value: number, title: string) => ({
  data: { values: [{ value }] },
  mark: { type: "rule", strokeDash: [4, 3], color: "#999999" },
  encoding: { x: null, y: { field: "value", type: "quantitative", title } },
});

/** Memorization and ability with one block bypassed, and perplexity below. */
function byBlock(
  relative: RelativeResult,
  { base, variants }: SweepResult,
  selectivity: Selectivity | undefined,
): Figure[] {
  const values = points(relative.bypasses, ({ variant }) => atSingleBlock(variant));
  const perplexities = variants.flatMap((variant) => {
    const block = singleBlock(variant);
    const mode = panelOf(variant);
    const { perplexity } = variant;
    return block === undefined || perplexity === undefined ? [] : [{ block, mode, perplexity: perplexity.perplexity }];
  });
  const drops = selectivity ? rowsPoints(selectivity, atSingleBlock) : [];
  const metric = selectivity?.compared[0];
  const frame = byMode([...values, ...perplexities, ...drops]);
  const { width, column } = frame;
  const encoding = kinds(values.map(({ what }) => what));
  const withoutPerplexity = perplexities.length === 0;
  const controlled = drops.length > 0 && metric !== undefined;
  const shares = {
    data: { values },
    facet: { column },
    spec: {
      width,
      height: 200,
      encoding: { x: { ...blockAxis, title: withoutPerplexity && !controlled ? blockAxis.title : null } },
      layer: [
        { mark: { type: "area", opacity: 0.16 }, encoding: { ...interval, color: encoding.color } },
        {
          mark: { type: "line", point: { filled: true, size: 50 }, strokeWidth: 2 },
          encoding: { y: shareAxis, ...encoding },
        },
        unmodified(1, "share remaining"),
      ],
    },
  };
  const below = {
    data: { values: perplexities },
    facet: { column: { ...column, header: { labels: false, title: null } } },
    spec: {
      width,
      height: 90,
      layer: [
        {
          mark: {
            type: "line",
            point: { filled: true, size: 40, color: colours.neutral },
            color: colours.neutral,
            strokeWidth: 1.5,
          },
          encoding: {
            x: blockAxis,
            y: {
              field: "perplexity",
              type: "quantitative",
              scale: { type: "log", nice: true },
              axis: { titlePadding: 16, tickCount: 3, grid: false },
            },
          },
        },
        unmodified(base.perplexity?.perplexity ?? 1, "perplexity"),
      ],
    },
  };
  const x = { ...blockAxis, title: withoutPerplexity ? blockAxis.title : null };
  const panels = [
    ...(values.length > 0 ? [shares] : []),
    ...(controlled ? [rowsByBlock(drops, metric, x, frame)] : []),
    ...(withoutPerplexity ? [] : [below]),
  ];
  if (panels.length === 0) return [];
  return [
    {
      name: "by-block",
      title: "Memorization and ability by block",
      caption:
        `The memorization and ability that remain with one block bypassed. ${definitions} Bands are ${intervals}.` +
        (controlled ? rowsCaption(metric, "The panel below") : "") +
        (withoutPerplexity
          ? ""
          : " The lowest panel is the perplexity of the text. Dashed lines are the unmodified model."),
      spec: { vconcat: panels, resolve: { scale: { color: "independent", shape: "independent" } } },
    },
  ];
}

/** Memorization and ability with a quarter of the blocks bypassed, next to random sets of its size. */
function byQuartile({ bypasses }: RelativeResult, selectivity: Selectivity | undefined): Figure[] {
  const place = setPlace(bypasses.map(({ variant }) => variant));
  const values = points(bypasses, ({ variant }) => place(variant));
  if (!values.some(({ set }) => set !== randomName)) return [];
  const metric = selectivity?.compared[0];
  const drops = selectivity ? rowsPoints(selectivity, place) : [];
  const { width, column } = byMode([...values, ...drops]);
  const { color } = kinds(values.map(({ what }) => what));
  const random = `datum.set === '${randomName}'`;
  const sets = values.some(({ set }) => set === randomName);
  const controlled = drops.length > 0 && metric !== undefined;
  const x = (title: boolean) => ({
    field: "set",
    type: "ordinal",
    title: title ? "quarter" : null,
    axis: { labelAngle: 0 },
    scale: { paddingInner: 0.35, domain: setDomain(values) },
  });
  const quarters = { transform: [{ filter: `!(${random})` }] };
  const strip = { transform: [{ filter: random }], mark: { type: "point", filled: true, size: 22, opacity: 0.45 } };
  const shares = {
    data: { values },
    facet: { column },
    spec: {
      width,
      height: 180,
      encoding: { x: x(!controlled), xOffset: { field: "what", scale: { domain: [memorization, ability] } } },
      layer: [
        { ...quarters, mark: { type: "bar", opacity: 0.85 }, encoding: { y: shareAxis, color } },
        { ...quarters, mark: { type: "rule", color: "#222222" }, encoding: interval },
        { ...strip, encoding: { y: shareAxis, color } },
      ],
    },
  };
  const lower = (metric: MemorizationMetric) => {
    const y = { type: "quantitative", ...dropAxis(drops, metric) };
    const { color, shape } = rowKinds(metric);
    const value = { y: { ...y, field: "value", title: dropTitle(metric) }, color, shape };
    return {
      data: { values: drops },
      facet: { column: { ...column, header: { labels: false, title: null } } },
      spec: {
        width,
        height: 120,
        encoding: { x: x(true), xOffset: { field: "rows", scale: { domain: rowNames } } },
        layer: [
          zeroLine,
          {
            ...quarters,
            mark: { type: "rule", strokeWidth: 1.5 },
            encoding: { y: { ...y, field: "low" }, y2: { field: "high" }, color },
          },
          { ...quarters, mark: { type: "point", filled: true, size: 60, opacity: 1 }, encoding: value },
          { ...strip, encoding: value },
        ],
      },
    };
  };
  return [
    {
      name: "by-quartile",
      title: "Memorization and ability by quarter of the blocks",
      caption:
        `The memorization and ability that remain with a quarter of the blocks bypassed. Q1 is the quarter next to the input. ${definitions} Lines are ${intervals}.` +
        (sets ? randomCaption : "") +
        (controlled ? rowsCaption(metric, "The lower panel") : ""),
      spec: controlled
        ? {
            vconcat: [shares, lower(metric)],
            resolve: { scale: { color: "independent", shape: "independent", xOffset: "independent" } },
          }
        : shares,
    },
  ];
}

/** Returns the figures for which the sweep has the data. */
export function sweepFigures(
  relative: RelativeResult,
  result: SweepResult,
  selectivity: Selectivity | undefined,
): Figure[] {
  return [
    ...byBlock(relative, result, selectivity),
    ...byQuartile(relative, selectivity),
    ...(selectivity ? selectivityFigures(selectivity) : []),
    ...tradeOff(relative, selectivity),
    ...byTask(relative, result),
    ...byHead(relative, selectivity),
  ];
}
