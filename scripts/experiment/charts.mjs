// The figures, drawn by Vega-Lite without a browser. Colours are those of Okabe and Ito, which colour-blind people tell
// apart; shapes say the same again.
import * as vega from "vega";
import { compile } from "vega-lite";

const blue = "#0072B2";
const vermilion = "#D55E00";
const green = "#009E73";

const config = {
  font: "Helvetica, Arial, sans-serif",
  background: "white",
  axis: { labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal", gridColor: "#e6e6e6", domainColor: "#888" },
  legend: {
    orient: "top",
    labelLimit: 0,
    symbolOpacity: 1,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: "normal",
    symbolSize: 70,
  },
  header: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
  view: { stroke: null },
};

/** @returns {Promise<string>} SVG */
function draw(spec) {
  const view = new vega.View(vega.parse(compile({ config, ...spec }).spec), { renderer: "none" });
  return view.toSVG().finally(() => view.finalize());
}

const percent = { format: "%" };
const never = "never";

/** Exact match by number of repetitions, with its confidence interval. */
export function extractionByRepetition(extraction) {
  const values = extraction.map((point) => ({
    ...point,
    times: point.repetitions === 0 ? never : String(point.repetitions),
  }));
  const times = [...new Set(values.map((point) => point.times))];
  const x = {
    field: "times",
    type: "ordinal",
    sort: times,
    title: "times in the training text",
    axis: { labelAngle: 0 },
  };
  const colour = { field: "kind", type: "nominal", title: null, scale: { range: [blue, vermilion, green] } };
  const offset = { field: "kind" };
  return draw({
    width: 720,
    height: 220,
    data: { values },
    encoding: { x: { ...x, scale: { padding: 0.3 } }, color: colour },
    layer: [
      {
        mark: { type: "rule", opacity: 0.55 },
        encoding: {
          xOffset: offset,
          y: { field: "low", type: "quantitative", title: "exact match", scale: { domain: [0, 1] }, axis: percent },
          y2: { field: "high" },
        },
      },
      {
        mark: { type: "point", filled: true, size: 60, opacity: 1 },
        encoding: {
          xOffset: offset,
          y: { field: "share", type: "quantitative" },
          shape: { field: "kind", title: null },
        },
      },
    ],
  });
}

const memorization = "memorization (exact match)";
const ability = "ability (tasks, above chance)";

/** What is left of memorization and of ability with the attention of one block bypassed, and what becomes of perplexity. */
export function byBlock([base, ...variants]) {
  const single = variants.filter((variant) => variant.block !== undefined);
  const shares = single.flatMap(({ block, mode, memorizationKept, abilityKept }) => [
    { block, mode, what: memorization, kept: memorizationKept },
    { block, mode, what: ability, kept: abilityKept },
  ]);
  const x = { field: "block", type: "ordinal", title: "block whose attention is bypassed", axis: { labelAngle: 0 } };
  const column = { field: "mode", type: "nominal", sort: ["zero", "short-circuit"], title: null };
  const kinds = { field: "what", type: "nominal", sort: [memorization, ability], title: null };
  return draw({
    vconcat: [
      {
        data: { values: shares },
        facet: { column },
        spec: {
          width: 340,
          height: 180,
          mark: { type: "line", point: { filled: true, size: 55 }, strokeWidth: 2 },
          encoding: {
            x: { ...x, title: null },
            y: { field: "kept", type: "quantitative", title: "share of the unmodified model", axis: percent },
            color: { ...kinds, scale: { range: [vermilion, blue] } },
            shape: kinds,
          },
        },
      },
      {
        data: { values: single },
        facet: { column: { ...column, header: { labels: false } } },
        spec: {
          width: 340,
          height: 90,
          layer: [
            {
              mark: { type: "line", point: { filled: true, size: 45, color: "#555" }, color: "#555", strokeWidth: 1.5 },
              encoding: {
                x,
                y: {
                  field: "perplexity",
                  type: "quantitative",
                  title: "perplexity",
                  scale: { type: "log" },
                  axis: { titlePadding: 16, tickCount: 3, grid: false },
                },
              },
            },
            { mark: { type: "rule", strokeDash: [4, 3], color: "#999" }, encoding: { y: { datum: base.perplexity } } },
          ],
        },
      },
    ],
    resolve: { scale: { color: "independent", shape: "independent" } },
  });
}

/** Memorization against ability, a point for each block and quartile: best is low and to the right. */
export function tradeOff([, ...variants]) {
  const values = variants.map((variant) => ({
    ...variant,
    what: variant.block === undefined ? "quartile" : "block",
    label: variant.block === undefined ? `Q${variant.quartile}` : String(variant.block),
  }));
  const share = (field, title) => ({ field, type: "quantitative", title, axis: percent });
  return draw({
    data: { values },
    facet: { column: { field: "mode", type: "nominal", sort: ["zero", "short-circuit"], title: null } },
    spec: {
      width: 340,
      height: 220,
      encoding: { x: share("abilityKept", "ability kept"), y: share("memorizationKept", "memorization kept") },
      layer: [
        {
          mark: { type: "point", filled: true, size: 70, opacity: 0.9 },
          encoding: {
            color: { field: "what", type: "nominal", title: null, scale: { range: [blue, vermilion] } },
            shape: { field: "what", type: "nominal", title: null },
          },
        },
        { mark: { type: "text", dx: 9, dy: -6, fontSize: 11, align: "left" }, encoding: { text: { field: "label" } } },
      ],
    },
  });
}
