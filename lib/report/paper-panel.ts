import type { Interval } from "../statistics/bootstrap.js";
import { blockAxis, percentAxis } from "./figure.js";
import type { AnalysedModel } from "./paper-model.js";
import type { Setting } from "./setting.js";
import { logarithmicTicks } from "./step-axis.js";

/** The width of a figure without the labels of its first axis. */
const width = 690;
const gap = 46;

/** A value that a panel draws, with its interval, at a block or a quarter. */
export interface Drawn extends Interval {
  what: string;
  place: number | string;
}

/** What the panels of a figure share. */
export interface Look {
  /** The quantities with their colours, in the order of the legend. */
  quantities: Readonly<Record<string, string>>;
  /** The axis is of shares from 0 to 1 unless it is logarithmic. */
  y: { title: string | null; logarithmic?: boolean };
  height: number;
}

/** The contents of one panel. */
export interface Panel {
  title: string;
  width: number;
  values: readonly Drawn[];
  /** The values of the unmodified model. */
  unmodified: readonly { what: string; value: number }[];
  /** Numbers of the paper. */
  published?: readonly { what: string; place: number; value: number }[];
  /** The ends of the axis. */
  domain: readonly [number, number];
}

/** With more blocks than these, points are small. */
const most = 16;

/** Returns a layer with the title of a panel, which is at the same height whatever the axes of its row are. */
export function titleLayer(text: string, width: number): object {
  return {
    data: { values: [{}] },
    mark: { type: "text", text, fontSize: 11, baseline: "bottom" },
    encoding: { x: { value: width / 2 }, y: { value: -6 } },
  };
}

const value = (field: string, { y }: Look, { domain }: Panel) => ({
  field,
  type: "quantitative",
  title: y.title,
  axis: y.logarithmic ? { values: logarithmicTicks(...domain), format: "~g", labelOverlap: true } : percentAxis,
  scale: { domain, nice: false, ...(y.logarithmic && { type: "log" }) },
});

function encodings({ quantities }: Look) {
  const names = Object.keys(quantities);
  const what = { field: "what", type: "nominal", sort: names, title: null };
  const legend = names.length === 1 ? { legend: null } : {};
  return {
    color: { ...what, ...legend, scale: { domain: names, range: Object.values(quantities) } },
    shape: { ...what, ...legend, scale: { domain: names } },
  };
}

/** Returns dashed lines at the values of the unmodified model. */
function unmodifiedLines(panel: Panel, look: Look): object {
  return {
    data: { values: panel.unmodified },
    mark: { type: "rule", strokeDash: [4, 3], opacity: 0.8 },
    encoding: { y: value("value", look, panel), color: encodings(look).color },
  };
}

/** Returns a line over the blocks with a band for the interval, and the paper's numbers as open diamonds. */
export function blockPanel(panel: Panel, look: Look): object {
  const { color, shape } = encodings(look);
  const x = { ...blockAxis, field: "place" };
  const { published = [] } = panel;
  const places = new Set(panel.values.map(({ place }) => place)).size;
  return {
    width: panel.width,
    height: look.height,
    layer: [
      titleLayer(panel.title, panel.width),
      unmodifiedLines(panel, look),
      {
        data: { values: panel.values },
        mark: { type: "area", opacity: 0.16 },
        encoding: { x, y: value("low", look, panel), y2: { field: "high" }, color },
      },
      {
        data: { values: panel.values },
        mark: { type: "line", point: { filled: true, size: places > most ? 14 : 34 }, strokeWidth: 1.6 },
        encoding: { x, y: value("value", look, panel), color, shape },
      },
      ...(published.length === 0
        ? []
        : [
            {
              data: { values: published },
              mark: { type: "point", shape: "diamond", size: 70, filled: false, strokeWidth: 1.6 },
              encoding: { x, y: value("value", look, panel), color },
            },
          ]),
    ],
  };
}

/** Returns bars for the quarters of the blocks, with lines for the intervals. */
export function quarterPanel(panel: Panel, look: Look): object {
  const { color } = encodings(look);
  const x = {
    field: "place",
    type: "ordinal",
    title: "bypassed quarter of the blocks",
    axis: { labelAngle: 0 },
    scale: { paddingInner: 0.35 },
  };
  const place = { x, xOffset: { field: "what", sort: Object.keys(look.quantities) } };
  return {
    width: panel.width,
    height: look.height,
    layer: [
      titleLayer(panel.title, panel.width),
      {
        data: { values: panel.values },
        mark: { type: "bar", opacity: 0.85 },
        encoding: { ...place, y: value("value", look, panel), color },
      },
      {
        data: { values: panel.values },
        mark: { type: "rule", color: "#222222" },
        encoding: { ...place, y: value("low", look, panel), y2: { field: "high" } },
      },
      unmodifiedLines(panel, look),
    ],
  };
}

/** Returns a grid of panels: a row for each model, and a column for each setting of its sweep. */
export function grid(
  models: readonly AnalysedModel[],
  look: Look,
  draw: (model: AnalysedModel, setting: Setting, width: number, look: Look) => object,
): object {
  return {
    spacing: 24,
    vconcat: models.map((model) => ({
      title: { text: model.name, anchor: "start", fontSize: 13, offset: 18 },
      bounds: "flush",
      spacing: gap,
      hconcat: model.settings.map((setting, column) =>
        draw(
          model,
          setting,
          Math.floor((width - gap * (model.settings.length - 1)) / model.settings.length),
          column === 0 ? look : { ...look, y: { ...look.y, title: null } },
        ),
      ),
    })),
  };
}
