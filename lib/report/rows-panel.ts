import type { MemorizationMetric } from "../metrics/memorization.js";
import { formOf } from "../selectivity/metrics.js";
import type { MetricSelectivity, Selectivity } from "../selectivity/result.js";
import type { Interval } from "../statistics/bootstrap.js";
import type { Variant } from "../sweep/variants.js";
import { type byMode, colours } from "./figure.js";
import { panelOf } from "./remaining.js";

/** The names of memorized rows and control rows in figures. */
export const rowNames = ["memorized rows", "control rows"] as const;

/** A drop on memorized or control rows at a place of a figure, in the unit of the metric. */
export interface RowsPoint extends Interval {
  rows: string;
  mode: string;
}

/** Returns an interval in the unit of a metric: points or nats. */
export function inUnit({ value, low, high }: Interval, metric: MemorizationMetric): Interval {
  const { scale } = formOf(metric);
  return { value: scale * value, low: scale * low, high: scale * high };
}

/** Returns the drops on memorized and on control rows of the bypasses for which `place` returns a place. */
export function rowsPoints<Place extends object>(
  { variants, compared: [metric] }: Selectivity,
  place: (variant: Variant) => Place | undefined,
): (RowsPoint & Place)[] {
  if (metric === undefined) return [];
  return variants.flatMap((variant) => {
    const at = place(variant);
    const drops: MetricSelectivity | undefined = variant.metrics[metric];
    if (at === undefined || drops === undefined) return [];
    const mode = panelOf(variant);
    return [
      { ...at, mode, rows: rowNames[0], ...inUnit(drops.memorized, metric) },
      { ...at, mode, rows: rowNames[1], ...inUnit(drops.control, metric) },
    ];
  });
}

const rowColours = [colours.memorization, colours.control];

/** Returns the encodings that give memorized and control rows their colours and shapes. The legend names the metric. */
export function rowKinds(metric: MemorizationMetric) {
  const legend = { titleLimit: 400 };
  const rows = { field: "rows", type: "nominal", title: `drop of ${formOf(metric).name}`, legend };
  return {
    color: { ...rows, scale: { domain: rowNames, range: rowColours } },
    shape: { ...rows, scale: { domain: rowNames, range: ["circle", "diamond"] } },
  };
}

/** Returns the sentences of a caption about a panel of drops on memorized and control rows. */
export function rowsCaption(metric: MemorizationMetric, panel: string): string {
  const linear = formOf(metric).unit === "points" ? "1 point" : "0.1 nats";
  return (
    ` ${panel} is the drop of ${formOf(metric).name} on the memorized rows and on the control rows, which the model has ` +
    `not memorized; its axis is linear up to ${linear} and logarithmic beyond.`
  );
}

/** Returns the scale and axis for drops, which differ by orders of magnitude and may be negative. */
export function dropAxis(values: readonly Interval[], metric: MemorizationMetric) {
  const linear = formOf(metric).unit === "points" ? 1 : 0.1;
  const lowest = values.reduce((least, { low }) => Math.min(least, low), 0);
  const highest = values.reduce((most, { high }) => Math.max(most, high), 0);
  const steps = [1, 3, 10, 30, 100, 300].flatMap((step) => [-step * linear, step * linear]);
  const ticks = [0, ...steps].filter((tick) => tick >= lowest && tick <= highest);
  return {
    scale: { type: "symlog", constant: linear, domain: [lowest, highest], nice: false },
    axis: { values: ticks, format: ",~r", labelOverlap: "greedy", minExtent: 40 },
  };
}

/** Returns a dashed line at 0. */
export const zeroLine = {
  data: { values: [{ zero: 0 }] },
  mark: { type: "rule", strokeDash: [4, 3], color: "#999999" },
  encoding: { x: null, xOffset: null, y: { field: "zero", type: "quantitative" } },
};

/** Returns the title of an axis of drops. */
export const dropTitle = (metric: MemorizationMetric): string => `drop, ${formOf(metric).unit}`;

/** Returns panels of the drops on memorized and control rows as lines along the blocks, one for each mode. */
export function rowsByBlock(
  values: readonly (RowsPoint & { block: number })[],
  metric: MemorizationMetric,
  x: object,
  panels: ReturnType<typeof byMode>,
): object {
  const y = dropAxis(values, metric);
  const { color, shape } = rowKinds(metric);
  return {
    data: { values },
    facet: { column: { ...panels.column, header: { labels: false, title: null } } },
    spec: {
      width: panels.width,
      height: 120,
      encoding: { x },
      layer: [
        {
          mark: { type: "area", opacity: 0.16 },
          encoding: { y: { field: "low", type: "quantitative", ...y }, y2: { field: "high" }, color },
        },
        {
          mark: { type: "line", point: { filled: true, size: 45 }, strokeWidth: 1.8 },
          encoding: { y: { field: "value", type: "quantitative", title: dropTitle(metric), ...y }, color, shape },
        },
        zeroLine,
      ],
    },
  };
}
