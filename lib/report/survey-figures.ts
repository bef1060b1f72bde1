import { largest } from "../statistics/statistics.js";
import type { SweepResult } from "../sweep/result.js";
import { byMode, colours, type Figure, percentAxis } from "./figure.js";
import { panelOf, singleBlock } from "./remaining.js";

/** The maximum number of bypassed blocks in the figure of distances. */
const maxLines = 5;

/** Returns at most `count` evenly spaced items, including the first and the last. */
function spread<Item>(items: readonly Item[], count: number): Item[] {
  if (items.length <= count) return [...items];
  return Array.from(
    { length: count },
    (_, index) => items[Math.round((index * (items.length - 1)) / (count - 1))] as Item,
  );
}

const logAxis = { type: "log", nice: true };

/** The distance of the residual stream from the unmodified model's after each block, measured and as a proven bound. */
function residualDistances({ variants }: SweepResult): Figure[] {
  const surveyed = variants.flatMap((variant) => {
    const bypassed = singleBlock(variant);
    return bypassed === undefined || variant.divergence === undefined
      ? []
      : [{ bypassed, mode: panelOf(variant), blocks: variant.divergence.blocks }];
  });
  const chosen = new Set(spread([...new Set(surveyed.map(({ bypassed }) => bypassed))], maxLines));
  const values = surveyed
    .filter(({ bypassed }) => chosen.has(bypassed))
    .flatMap(({ bypassed, mode, blocks }) =>
      blocks.flatMap(({ block, distance, bound }) =>
        [
          { bypassed, mode, block, what: "measured", value: distance },
          { bypassed, mode, block, what: "proven bound", value: bound },
        ].filter(({ value }) => Number.isFinite(value) && value > 0),
      ),
    );
  if (values.length === 0) return [];
  const { width, column } = byMode(values);
  const names = [...chosen].sort((a, b) => a - b);
  const bypassed = { field: "bypassed", type: "ordinal", title: "bypassed block", sort: names };
  return [
    {
      name: "distance",
      title: "Distance of the residual stream from the unmodified model",
      caption:
        "The L2 distance between the residual streams with and without the bypass of one block, after that block and after " +
        "each later one, divided by the norm of the stream without the bypass: means over tokens. Dashed lines are proven " +
        "upper bounds for these inputs.",
      spec: {
        data: { values },
        facet: { column },
        spec: {
          width,
          height: 240,
          mark: { type: "line", point: { filled: true, size: 35 }, strokeWidth: 1.8 },
          encoding: {
            x: { field: "block", type: "ordinal", title: "after block", axis: { labelAngle: 0, labelOverlap: true } },
            y: {
              field: "value",
              type: "quantitative",
              title: "share of the stream's norm",
              scale: logAxis,
              axis: { ...percentAxis, format: ".1~%", tickCount: 6 },
            },
            color: { ...bypassed, scale: { domain: names, range: colours.tasks.slice(0, names.length) } },
            strokeDash: {
              field: "what",
              type: "nominal",
              title: null,
              sort: ["measured", "proven bound"],
              legend: { symbolType: "stroke", symbolSize: 400, symbolFillColor: "transparent" },
              scale: {
                domain: ["measured", "proven bound"],
                range: [
                  [1, 0],
                  [5, 4],
                ],
              },
            },
          },
        },
      },
    },
  ];
}

/** The norms of the attention outputs of each block and head. */
function attentionNorms({ attention = [] }: SweepResult): Figure[] {
  if (attention.length === 0) return [];
  const blocks = attention.map(({ share }, block) => ({ block, share }));
  const heads = attention.flatMap(({ heads }, block) => heads.map((share, head) => ({ block, head, share })));
  const x = { field: "block", type: "ordinal", axis: { labelAngle: 0, labelOverlap: true } };
  const width = 640;
  return [
    {
      name: "attention",
      title: "Norm of the attention outputs",
      caption:
        "The L2 norm of the attention output of each block (top) and of each of its heads (bottom), divided by the norm of " +
        "the residual stream after the block: means over tokens. The outputs of heads may cancel each other out.",
      spec: {
        vconcat: [
          {
            width,
            height: 130,
            data: { values: blocks },
            mark: { type: "bar", color: colours.ability },
            encoding: {
              x: { ...x, title: null },
              y: { field: "share", type: "quantitative", title: "share of the stream's norm", axis: percentAxis },
            },
          },
          {
            width,
            height: Math.min(24 * largest(attention.map(({ heads }) => heads.length)), 360),
            data: { values: heads },
            mark: "rect",
            encoding: {
              x: { ...x, title: "block" },
              y: { field: "head", type: "ordinal", title: "head", axis: { labelOverlap: true } },
              color: {
                field: "share",
                type: "quantitative",
                title: "share",
                scale: { scheme: "viridis" },
                legend: { format: "%", orient: "right", gradientLength: 80 },
              },
            },
          },
        ],
        resolve: { scale: { color: "independent" } },
      },
    },
  ];
}

/** Returns the figures of a sweep with the option `survey`. */
export function surveyFigures(result: SweepResult): Figure[] {
  return [...residualDistances(result), ...attentionNorms(result)];
}
