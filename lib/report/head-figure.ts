import type { MemorizationMetric } from "../metrics/memorization-scores.js";
import { formOf } from "../selectivity/metrics.js";
import type { Selectivity } from "../selectivity/result.js";
import { largest } from "../statistics/statistics.js";
import { ability, blockAxis, type Figure, memorization } from "./figure.js";
import { panelOf, type RelativeResult, singleHead } from "./remaining.js";
import { dropTitle, rowNames, rowsPoints } from "./rows-panel.js";
import { definitions } from "./share-axis.js";

/** Drops on memorized and on control rows with one head bypassed, as heat maps. */
function rowsMaps(selectivity: Selectivity, metric: MemorizationMetric, row: object | undefined): object {
  const values = rowsPoints(selectivity, (variant) => singleHead(variant));
  const heads = 1 + largest(values.map(({ head }) => head));
  const most = largest(values.map(({ value }) => Math.abs(value)));
  return {
    data: { values },
    facet: { column: { field: "rows", type: "nominal", sort: rowNames, title: null }, ...(row && { row }) },
    spec: {
      width: 300,
      height: Math.min(22 * heads, 360),
      mark: "rect",
      encoding: {
        x: { ...blockAxis, title: "block" },
        y: { field: "head", type: "ordinal", title: "head", axis: { labelOverlap: true } },
        color: {
          field: "value",
          type: "quantitative",
          title: dropTitle(metric),
          scale: { scheme: "blueorange", domain: [-most, most] },
          legend: { orient: "right", gradientLength: 80 },
        },
      },
    },
  };
}

/** Memorization and ability with one head bypassed, as a heat map. */
export function byHead({ bypasses }: RelativeResult, selectivity: Selectivity | undefined): Figure[] {
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
  const metric = selectivity?.compared[0];
  const shares = {
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
  };
  return [
    {
      name: "by-head",
      title: "Memorization and ability by head",
      caption: `The memorization and ability that remain with one head of one block bypassed${modes.length === 1 ? ` (mode ${modes[0]})` : ""}. ${definitions}${metric === undefined ? "" : ` The lower maps are the drop of ${formOf(metric).name} on the memorized rows and on the control rows.`}`,
      spec:
        selectivity === undefined || metric === undefined
          ? shares
          : {
              vconcat: [shares, rowsMaps(selectivity, metric, modes.length > 1 ? row : undefined)],
              resolve: { scale: { color: "independent" } },
            },
    },
  ];
}
