import type { Interval } from "../statistics/bootstrap.js";
import { largest } from "../statistics/statistics.js";
import type { SweepResult } from "../sweep/result.js";
import { ability, blockAxis, byMode, colours, type Figure, kinds, memorization, percentAxis } from "./figure.js";
import {
  panelOf,
  quartileOf,
  type RelativeResult,
  type RemainingShares,
  singleBlock,
  singleHead,
} from "./remaining.js";

interface Point extends Interval {
  what: string;
  mode: string;
  block?: number | undefined;
  quartile?: number | undefined;
}

const intervals = "95 % confidence intervals by bootstrap over rows and questions";
const definitions =
  "Values are shares of the unmodified model's memorization and ability; ability is the accuracy above chance, a mean over tasks.";

/** Returns the memorization and ability of the bypasses for which `place` returns a place on the x axis. */
function points(
  { bypasses }: RelativeResult,
  place: (one: RemainingShares) => { block?: number; quartile?: number } | undefined,
): Point[] {
  return bypasses.flatMap((one) => {
    const at = place(one);
    if (at === undefined) return [];
    const { mode } = one.variant;
    return [
      ...(one.memorization ? [{ ...at, mode, what: memorization, ...one.memorization }] : []),
      ...(one.ability ? [{ ...at, mode, what: ability, ...one.ability }] : []),
    ];
  });
}

const atBlock = ({ variant }: RemainingShares) => {
  const block = singleBlock(variant);
  return block === undefined ? undefined : { block };
};
const atQuartile = ({ variant }: RemainingShares) => {
  const quartile = quartileOf(variant);
  return quartile === undefined ? undefined : { quartile };
};

const shareAxis = { field: "value", type: "quantitative", title: "share remaining", axis: percentAxis };
const interval = { y: { field: "low", type: "quantitative" }, y2: { field: "high" } };

/** Returns a dashed line at the value of the unmodified model. */
const unmodified = (value: number, title: string) => ({
  data: { values: [{ value }] },
  mark: { type: "rule", strokeDash: [4, 3], color: "#999999" },
  encoding: { x: null, y: { field: "value", type: "quantitative", title } },
});

/** Memorization and ability with one block bypassed, and perplexity below. */
function byBlock(relative: RelativeResult, { base, variants }: SweepResult): Figure[] {
  const values = points(relative, atBlock);
  const perplexities = variants.flatMap((variant) => {
    const block = singleBlock(variant);
    const mode = panelOf(variant);
    const { perplexity } = variant;
    return block === undefined || perplexity === undefined ? [] : [{ block, mode, perplexity: perplexity.perplexity }];
  });
  const { width, column } = byMode([...values, ...perplexities]);
  const encoding = kinds(values.map(({ what }) => what));
  const withoutPerplexity = perplexities.length === 0;
  const shares = {
    data: { values },
    facet: { column },
    spec: {
      width,
      height: 200,
      encoding: { x: { ...blockAxis, title: withoutPerplexity ? blockAxis.title : null } },
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
  const panels = [...(values.length > 0 ? [shares] : []), ...(withoutPerplexity ? [] : [below])];
  if (panels.length === 0) return [];
  return [
    {
      name: "by-block",
      title: "Memorization and ability by block",
      caption:
        `The memorization and ability that remain with one block bypassed. ${definitions} Bands are ${intervals}.` +
        (withoutPerplexity
          ? ""
          : " The lower panel is the perplexity of the text. Dashed lines are the unmodified model."),
      spec: { vconcat: panels, resolve: { scale: { color: "independent", shape: "independent" } } },
    },
  ];
}

function byQuartile(relative: RelativeResult): Figure[] {
  const values = points(relative, atQuartile).map((point) => ({ ...point, quarter: `Q${point.quartile}` }));
  if (values.length === 0) return [];
  const { width, column } = byMode(values);
  const { color } = kinds(values.map(({ what }) => what));
  const x = {
    field: "quarter",
    type: "ordinal",
    title: "quarter of the blocks",
    axis: { labelAngle: 0 },
    scale: { paddingInner: 0.35 },
  };
  const xOffset = { field: "what", sort: [memorization, ability] };
  return [
    {
      name: "by-quartile",
      title: "Memorization and ability by quarter of the blocks",
      caption: `The memorization and ability that remain with a quarter of the blocks bypassed. Q1 is the quarter next to the input. ${definitions} Lines are ${intervals}.`,
      spec: {
        data: { values },
        facet: { column },
        spec: {
          width,
          height: 180,
          encoding: { x, xOffset },
          layer: [
            { mark: { type: "bar", opacity: 0.85 }, encoding: { y: shareAxis, color } },
            { mark: { type: "rule", color: "#222222" }, encoding: interval },
          ],
        },
      },
    },
  ];
}

function tradeOff({ bypasses }: RelativeResult): Figure[] {
  const values = bypasses.flatMap(({ variant, memorization, ability }) => {
    const block = singleBlock(variant);
    const quartile = quartileOf(variant);
    if (!memorization || !ability) return [];
    const what = block !== undefined ? "a block" : quartile !== undefined ? "a quarter" : "another bypass";
    return [
      {
        mode: panelOf(variant),
        what,
        label: block !== undefined ? String(block) : quartile !== undefined ? `Q${quartile}` : "",
        memorization: memorization.value,
        memorizationLow: memorization.low,
        memorizationHigh: memorization.high,
        ability: ability.value,
        abilityLow: ability.low,
        abilityHigh: ability.high,
      },
    ];
  });
  if (values.length === 0) return [];
  const { width, column } = byMode(values);
  const share = (field: string, title?: string) => ({ field, type: "quantitative", title, axis: percentAxis });
  const what = ["a block", "a quarter", "another bypass"].filter((name) => values.some((value) => value.what === name));
  const range = [colours.ability, colours.memorization, colours.neutral];
  const kind = { field: "what", type: "nominal", sort: what, title: null };
  const across = { mark: { type: "rule", opacity: 0.3, color: colours.neutral } };
  return [
    {
      name: "trade-off",
      title: "Trade-off between memorization and ability",
      caption:
        "Each point is a bypass, labelled with the number of the block or quarter (Q1 to Q4). The best bypasses are at the " +
        `bottom right, with little memorization and high ability. ${definitions} Lines are ${intervals}.`,
      spec: {
        data: { values },
        facet: { column },
        spec: {
          width,
          height: 260,
          encoding: {
            x: share("ability", "ability remaining"),
            y: share("memorization", "memorization remaining"),
          },
          layer: [
            { ...across, encoding: { x: share("abilityLow", "ability remaining"), x2: { field: "abilityHigh" } } },
            {
              ...across,
              encoding: { y: share("memorizationLow", "memorization remaining"), y2: { field: "memorizationHigh" } },
            },
            {
              mark: { type: "point", filled: true, size: 65 },
              encoding: {
                opacity: { condition: { test: "datum.label === ''", value: 0.35 }, value: 0.95 },
                color: { ...kind, scale: { domain: what, range } },
                shape: { ...kind, scale: { domain: what } },
              },
            },
            {
              mark: { type: "text", dx: 8, dy: -7, fontSize: 11, align: "left" },
              encoding: { text: { field: "label" } },
            },
          ],
        },
      },
    },
  ];
}

/** The ability on each task with one block bypassed. Tasks of one group share a row of panels. */
function byTask({ bypasses }: RelativeResult, { settings }: SweepResult): Figure[] {
  const groups = Object.fromEntries((settings.tasks ?? []).map(({ name, group }) => [name, group ?? "tasks"]));
  const values = bypasses.flatMap(({ variant, tasks }) => {
    const block = singleBlock(variant);
    if (block === undefined) return [];
    return tasks.map(({ name, remaining }) => ({
      block,
      mode: panelOf(variant),
      task: name,
      group: groups[name],
      ...remaining,
    }));
  });
  if (values.length === 0) return [];
  const { width, column } = byMode(values);
  const names = [...new Set(values.map(({ task }) => task))];
  const task = { field: "task", type: "nominal", sort: names, title: null };
  const color = { ...task, scale: { domain: names, range: colours.tasks } };
  const row = { field: "group", type: "nominal", title: null, header: { labelOrient: "left", labelFontSize: 12 } };
  return [
    {
      name: "by-task",
      title: "Ability by task",
      caption:
        "The accuracy above chance that remains on each task with one block bypassed, as a share of the unmodified model's. " +
        `Tasks on which the unmodified model is not above chance are left out. Bands are ${intervals}.`,
      spec: {
        data: { values },
        facet: { column, ...(new Set(values.map(({ group }) => group)).size > 1 && { row }) },
        spec: {
          width,
          height: 150,
          encoding: { x: blockAxis },
          layer: [
            { mark: { type: "area", opacity: 0.12 }, encoding: { ...interval, color } },
            {
              mark: { type: "line", point: { filled: true, size: 45 }, strokeWidth: 1.8 },
              encoding: { y: shareAxis, color, shape: { ...task, scale: { domain: names } } },
            },
          ],
        },
      },
    },
  ];
}

/** Memorization and ability with one head bypassed, as a heat map. */
function byHead({ bypasses }: RelativeResult): Figure[] {
  const values = bypasses.flatMap(({ variant, ...one }) => {
    const head = singleHead(variant);
    if (head === undefined) return [];
    return ([memorization, ability] as const).flatMap((what) =>
      one[what] ? [{ ...head, mode: panelOf(variant), what, value: one[what].value }] : [],
    );
  });
  if (values.length === 0) return [];
  const whats = [...new Set(values.map(({ what }) => what))];
  const modes = [...new Set(values.map(({ mode }) => mode))];
  const heads = 1 + largest(values.map(({ head }) => head));
  const row = { field: "mode", type: "nominal", title: null };
  return [
    {
      name: "by-head",
      title: "Memorization and ability by head",
      caption: `The memorization and ability that remain with one head of one block bypassed${modes.length === 1 ? ` (mode ${modes[0]})` : ""}. ${definitions}`,
      spec: {
        data: { values },
        facet: {
          column: { field: "what", type: "nominal", sort: [memorization, ability], title: null },
          ...(modes.length > 1 && { row }),
        },
        spec: {
          width: Math.floor(600 / whats.length),
          height: Math.min(22 * heads, 360),
          mark: "rect",
          encoding: {
            x: { ...blockAxis, title: "block" },
            y: { field: "head", type: "ordinal", title: "head", axis: { labelOverlap: true } },
            color: {
              field: "value",
              type: "quantitative",
              title: "remaining",
              scale: { scheme: "viridis", domain: [0, 1], clamp: true },
              legend: { format: "%", orient: "right", gradientLength: 80 },
            },
          },
        },
      },
    },
  ];
}

/** Returns the figures for which the sweep has the data. */
export function sweepFigures(relative: RelativeResult, result: SweepResult): Figure[] {
  return [
    ...byBlock(relative, result),
    ...byQuartile(relative),
    ...tradeOff(relative),
    ...byTask(relative, result),
    ...byHead(relative),
  ];
}
