import { partName } from "../effects/parts.js";
import type { BypassEffects, EffectsResult } from "../effects/result.js";
import { largest } from "../statistics/statistics.js";
import { byMode, colours, type Figure } from "./figure.js";
import { panelOf, singleBlock } from "./remaining.js";

/** The most bypasses of a panel that a figure shows. */
const mostBypasses = 48;

const whats = ["total", "direct", "direct, frozen scale"] as const;
const tickFormat = ",~r";
const what = {
  field: "what",
  type: "nominal",
  title: null,
  sort: whats,
};
const color = { ...what, scale: { domain: whats, range: [colours.memorization, colours.ability, "#009E73"] } };
const shape = { ...what, scale: { domain: whats, range: ["circle", "square", "triangle-up"] } };

/** Returns a scale that is logarithmic away from 0, with its ticks: at most `decades` powers of ten times 1 and -1. */
function symmetricLog(values: readonly number[], decades = 3) {
  const sizes = values.map(Math.abs).filter((size) => size > 0);
  const decade = (size: number) => Math.floor(Math.log10(size));
  const most = sizes.length === 0 ? 0 : decade(largest(sizes));
  const least = Math.max(most - decades + 1, Math.min(most, -largest(sizes.map((size) => -decade(size)))));
  const ticks = Array.from({ length: most - least + 1 }, (_, index) => 10 ** (least + index));
  const used = (sign: number) =>
    ticks.map((size) => sign * size).filter((tick) => values.some((value) => sign * value >= Math.abs(tick) / 2));
  return {
    scale: { type: "symlog", constant: 10 ** least / 2, nice: false },
    values: [0, ...used(1), ...used(-1)],
  };
}

/** Returns the name of a bypass on an axis: its block, or its name. */
const labelOf = (bypass: BypassEffects) => singleBlock(bypass) ?? bypass.name;

/** Returns the axis of the bypasses, which has more room for names if there is one panel. */
function axisOf(bypasses: readonly BypassEffects[]) {
  const labels = [...new Set(bypasses.map(labelOf))];
  const blocks = labels.every((label) => typeof label === "number");
  const short = labels.length * new Set(bypasses.map(panelOf)).size <= 8;
  return {
    field: "bypass",
    type: "ordinal",
    sort: blocks ? [...labels].sort((a, b) => Number(a) - Number(b)) : labels,
    title: blocks ? "bypassed block" : null,
    scale: { paddingInner: 0.5 },
    axis: { labelAngle: blocks || short ? 0 : -40, labelOverlap: blocks, labelLimit: 160 },
  };
}

/** Returns the panels of one quantity. */
function effectPanels(
  bypasses: readonly BypassEffects[],
  quantity: "logLikelihood" | "logit",
  { title, last }: { title: string; last: boolean },
) {
  const values = bypasses.flatMap((bypass) => {
    const { total, direct, directFrozen } = bypass[quantity];
    return [total, direct, directFrozen].map((interval, index) => ({
      bypass: labelOf(bypass),
      mode: panelOf(bypass),
      what: whats[index],
      ...interval,
    }));
  });
  const { width, column } = byMode(values);
  const { scale, values: ticks } = symmetricLog(values.map(({ value }) => value));
  const axis = { values: ticks, format: tickFormat, minExtent: 44, grid: true, labelOverlap: false };
  const y = { type: "quantitative", title, scale, axis };
  const x = axisOf(bypasses);
  return {
    data: { values },
    facet: { column: last ? { ...column, header: { labels: false, title: null } } : column },
    spec: {
      width,
      height: 190,
      encoding: {
        x: last ? x : { ...x, title: null, axis: { ...x.axis, labels: false } },
        xOffset: { field: "what", sort: whats },
      },
      layer: [
        {
          data: { values: [{}] },
          mark: { type: "rule", color: "#999999" },
          encoding: { x: null, xOffset: null, y: { datum: 0 } },
        },
        { mark: { type: "rule" }, encoding: { y: { ...y, field: "low" }, y2: { field: "high" }, color } },
        {
          mark: { type: "point", filled: true, size: 48, opacity: 1 },
          encoding: { y: { ...y, field: "value" }, color, shape },
        },
      ],
    },
  };
}

function totalAndDirect(bypasses: readonly BypassEffects[]): Figure {
  return {
    name: "total-and-direct",
    title: "Total and direct effects",
    caption:
      "The change of the log-likelihood of the suffix (top) and of the sum of the logits of its tokens (bottom) under each " +
      "bypass: in total, and directly, with all other outputs kept as in the unmodified model and the final norm recomputed or " +
      "with its frozen scale. If the total effect is nearer to 0 than the direct effect, later parts compensate; if it is " +
      "farther from 0, they add to the effect. Lines are 95 % confidence intervals by bootstrap over rows. Axes are linear near " +
      "0 and logarithmic farther away.",
    spec: {
      vconcat: [
        effectPanels(bypasses, "logLikelihood", { title: "log-likelihood, nats", last: false }),
        effectPanels(bypasses, "logit", { title: "logits of true tokens", last: true }),
      ],
    },
  };
}

function changesByPart(bypasses: readonly BypassEffects[]): Figure[] {
  const values = bypasses.flatMap((bypass) =>
    bypass.changes.map((change) => ({
      bypass: labelOf(bypass),
      mode: panelOf(bypass),
      part: partName(change),
      block: change.block,
      order: 2 * change.block + Number(change.part === "mlp"),
      bypassed: change.bypassed,
      change: change.changeFrozen.value,
    })),
  );
  const recomputed = values.filter(({ bypassed }) => !bypassed);
  if (recomputed.length === 0) return [];
  const parts = [...new Set([...values].sort((a, b) => b.order - a.order).map(({ part }) => part))];
  const { width, column } = byMode(values);
  const most = largest(recomputed.map(({ change }) => Math.abs(change))) || 1;
  const { scale, values: ticks } = symmetricLog([...recomputed.map(({ change }) => change), most, -most], 2);
  const cells = {
    x: { ...axisOf(bypasses), scale: { paddingInner: 0 } },
    y: { field: "part", type: "ordinal", sort: parts, title: null, axis: { labelOverlap: true } },
  };
  return [
    {
      name: "changes-by-part",
      title: "Which parts compensate for which bypass",
      caption:
        "The change of each part's direct contribution to the logits of the true tokens, summed over the suffix, under each " +
        "bypass; the final norm's scale is that of the unmodified model. A rise (blue) compensates for a bypass that lowers the " +
        "logits. Grey cells are bypassed parts; earlier parts do not change. Colours are linear near 0 and logarithmic farther away.",
      spec: {
        data: { values },
        facet: { column },
        spec: {
          width,
          height: Math.min(16 * parts.length, 560),
          encoding: cells,
          layer: [
            {
              transform: [{ filter: "!datum.bypassed" }],
              mark: { type: "rect", stroke: "white", strokeWidth: 1 },
              encoding: {
                color: {
                  field: "change",
                  type: "quantitative",
                  title: "change of the contribution to the logits",
                  scale: {
                    ...scale,
                    domain: [-most, most],
                    range: ["#B35806", "#F1A340", "#F7F7F7", "#74ADD1", "#2166AC"],
                  },
                  legend: {
                    orient: "top",
                    direction: "horizontal",
                    gradientLength: 300,
                    titleLimit: 0,
                    values: ticks,
                    labelExpr: `datum.value === 0 ? '0' : format(datum.value, '+${tickFormat}')`,
                  },
                },
              },
            },
            {
              transform: [{ filter: "datum.bypassed" }],
              mark: { type: "rect", color: "#BDBDBD", stroke: "white", strokeWidth: 1 },
            },
          ],
        },
      },
    },
  ];
}

/** Returns the figures of a result; bypasses beyond the first 48 of each panel are left out. */
export function effectsFigures({ bypasses }: EffectsResult): Figure[] {
  const counts = new Map<string, number>();
  const shown = bypasses.filter((bypass) => {
    const count = counts.get(panelOf(bypass)) ?? 0;
    counts.set(panelOf(bypass), count + 1);
    return count < mostBypasses;
  });
  return [totalAndDirect(shown), ...changesByPart(shown)];
}
