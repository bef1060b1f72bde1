import type { Interval } from "../statistics/bootstrap.js";
import { colours, percentAxis } from "./figure.js";
import type { TrainingPoint } from "./over-training.js";
import type { StepAxis } from "./step-axis.js";

const palette = ["#000000", colours.memorization, ...colours.tasks.slice(0, 5)];
const width = 600;

/** A point whose revision has a training step. */
export type Placed = TrainingPoint & { step: number };
export const hasStep = (point: TrainingPoint): point is Placed => point.step !== undefined;

/** The parts that the panels of a figure share: the axis, the colours, and the marks of doubled revisions. */
export interface Frame {
  axis: StepAxis;
  /** The names of the lines. */
  lines: string[];
  doubled: { at: number; text: string }[];
}

function doubledMarks({ doubled }: Frame, labelled: boolean): object[] {
  if (doubled.length === 0) return [];
  const x = { field: "at", type: "quantitative" };
  const data = { values: doubled };
  const rule = { data, mark: { type: "rule", strokeDash: [2, 3], color: "#777777" }, encoding: { x } };
  const text = { type: "text", angle: 270, align: "right", baseline: "bottom", dx: -4, dy: -3, fontSize: 10 };
  const label = {
    data,
    mark: { ...text, color: "#555555" },
    encoding: { x, y: { value: 0 }, text: { field: "text" } },
  };
  return labelled ? [rule, label] : [rule];
}

/** Returns a dashed line at the accuracy by chance. */
const chanceLine = (chance: number, title: string) => ({
  data: { values: [{ chance }] },
  mark: { type: "rule", strokeDash: [4, 3], color: "#999999" },
  encoding: { x: null, y: { field: "chance", type: "quantitative", title } },
});

/** Returns the encoding by bypass, with a legend if there are several. */
const lineOf = ({ lines }: Frame) => ({
  field: "bypass",
  type: "nominal",
  sort: lines,
  title: null,
  ...(lines.length === 1 && { legend: null }),
});

/** Panels at equal distances, whatever their labels are. */
export const stacked = { bounds: "flush", spacing: 42 };

/** So wide that the titles of the panels are in one line. */
const minExtent = 52;

/** Returns a panel with a line for each bypass and a band for each interval. */
export function panel(
  points: readonly Placed[],
  frame: Frame,
  y: { title: string; value(point: Placed): Interval | undefined; chance?: number; last: boolean; first: boolean },
): object {
  const values = points.flatMap((point) => {
    const found = y.value(point);
    if (found === undefined || !frame.lines.includes(point.bypass)) return [];
    return [{ at: frame.axis.place(point.step), bypass: point.bypass, ...found }];
  });
  const bypass = lineOf(frame);
  const color = { ...bypass, scale: { domain: frame.lines, range: palette } };
  const scale = { domain: [0, 1], nice: false };
  const x = { ...frame.axis.encoding, ...(!y.last && { title: null }) };
  return {
    width,
    height: 170,
    encoding: { x },
    layer: [
      ...doubledMarks(frame, y.first),
      ...(y.chance === undefined ? [] : [chanceLine(y.chance, y.title)]),
      {
        data: { values },
        mark: { type: "area", opacity: 0.14 },
        encoding: { y: { field: "low", type: "quantitative", scale }, y2: { field: "high" }, color },
      },
      {
        data: { values },
        mark: { type: "line", point: { filled: true, size: 36 }, strokeWidth: 1.8 },
        encoding: {
          y: { field: "value", type: "quantitative", title: y.title, axis: { ...percentAxis, minExtent }, scale },
          color,
          shape: { ...bypass, scale: { domain: frame.lines } },
        },
      },
    ],
  };
}

/** Returns a panel of the perplexity on a logarithmic axis. */
export function perplexityPanel(points: readonly Placed[], frame: Frame): object {
  const values = points
    .filter(({ perplexity, bypass }) => perplexity !== undefined && frame.lines.includes(bypass))
    .map(({ step, bypass, perplexity }) => ({ at: frame.axis.place(step), bypass, perplexity }));
  const bypass = lineOf(frame);
  return {
    width,
    height: 110,
    encoding: { x: frame.axis.encoding },
    layer: [
      ...doubledMarks(frame, false),
      {
        data: { values },
        mark: { type: "line", point: { filled: true, size: 36 }, strokeWidth: 1.8 },
        encoding: {
          y: {
            field: "perplexity",
            type: "quantitative",
            title: "perplexity",
            scale: { type: "log", nice: true },
            axis: { tickCount: 4, minExtent },
          },
          color: { ...bypass, scale: { domain: frame.lines, range: palette } },
          shape: { ...bypass, scale: { domain: frame.lines } },
        },
      },
    ],
  };
}
