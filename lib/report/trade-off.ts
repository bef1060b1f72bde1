import type { MemorizationMetric } from "../metrics/memorization.js";
import { formOf } from "../selectivity/metrics.js";
import type { Selectivity } from "../selectivity/result.js";
import type { Interval } from "../statistics/bootstrap.js";
import { byMode, colours, type Figure, percentAxis } from "./figure.js";
import { panelOf, quartileOf, type RelativeResult, singleBlock } from "./remaining.js";
import { dropAxis, inUnit } from "./rows-panel.js";
import { definitions, intervals } from "./share-axis.js";

/** What a point is, in the order of the legend, with its colour. */
const pointKinds = {
  "a block": colours.ability,
  "a quarter": colours.memorization,
  "a random set": colours.tasks[3],
  "another bypass": colours.neutral,
};
const kindNames = Object.keys(pointKinds);

interface Place {
  mode: string;
  what: string;
  label: string;
  ability: number;
  abilityLow: number;
  abilityHigh: number;
}

const abilityAxis = (field: string) => ({
  field,
  type: "quantitative",
  title: "ability remaining",
  axis: percentAxis,
});

/** Returns a panel of points with their intervals, one for each mode. `y` has the title, the scale and the axis. */
function panel(
  values: readonly (Place & Interval)[],
  y: object,
  { width, column }: { width: number; column: object },
  height: number,
): object {
  const what = kindNames.filter((name) => values.some((value) => value.what === name));
  const range = what.map((name) => pointKinds[name as keyof typeof pointKinds]);
  const kind = { field: "what", type: "nominal", sort: what, title: null };
  const across = { mark: { type: "rule", opacity: 0.3, color: colours.neutral } };
  const up = (field: string) => ({ field, type: "quantitative", ...y });
  return {
    data: { values },
    facet: { column },
    spec: {
      width,
      height,
      encoding: { x: abilityAxis("ability"), y: up("value") },
      layer: [
        { ...across, encoding: { x: abilityAxis("abilityLow"), x2: { field: "abilityHigh" } } },
        { ...across, encoding: { y: up("low"), y2: { field: "high" } } },
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
  };
}

/** Memorization against ability, and below the drop on the control rows against ability. */
export function tradeOff({ bypasses }: RelativeResult, selectivity: Selectivity | undefined): Figure[] {
  const metric = selectivity?.compared[0];
  const all = bypasses.flatMap(({ variant, memorization, ability }, index) => {
    const block = singleBlock(variant);
    const quartile = quartileOf(variant);
    if (!memorization || !ability) return [];
    const place: Place = {
      mode: panelOf(variant),
      what:
        block !== undefined
          ? "a block"
          : quartile !== undefined
            ? "a quarter"
            : variant.kind === "random"
              ? "a random set"
              : "another bypass",
      label: block !== undefined ? String(block) : quartile !== undefined ? `Q${quartile}` : "",
      ability: ability.value,
      abilityLow: ability.low,
      abilityHigh: ability.high,
    };
    const control = metric && selectivity.variants[index]?.metrics[metric]?.control;
    return [{ place, memorization, control }];
  });
  if (all.length === 0) return [];
  const values = all.map(({ place, memorization }) => ({ ...place, ...memorization }));
  const frame = byMode(values);
  const remaining = panel(values, { title: "memorization remaining", axis: percentAxis }, frame, 260);
  const lower = (metric: MemorizationMetric) => {
    const drops = all.flatMap(({ place, control }) => (control ? [{ ...place, ...inUnit(control, metric) }] : []));
    const y = { title: ["drop on the control rows", formOf(metric).unit], ...dropAxis(drops, metric) };
    const column = { ...frame.column, header: { labels: false, title: null } };
    return panel(drops, y, { width: frame.width, column }, 170);
  };
  return [
    {
      name: "trade-off",
      title: "Trade-off between memorization and ability",
      caption:
        "Each point is a bypass, labelled with the number of the block or quarter (Q1 to Q4). The best bypasses are at the " +
        `bottom right, with little memorization and high ability. ${definitions} Lines are ${intervals}.` +
        (metric === undefined
          ? ""
          : ` The lower panel is the drop of ${formOf(metric).name} on the control rows, which is low for a bypass that acts on memorization only.`),
      spec: metric === undefined ? remaining : { vconcat: [remaining, lower(metric)] },
    },
  ];
}
