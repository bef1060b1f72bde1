import { doubledRevisions, type RevisionsResult } from "../revisions/result.js";
import { mean } from "../statistics/statistics.js";
import type { Figure } from "./figure.js";
import { noBypass, type OverTraining } from "./over-training.js";
import { stepAxis } from "./step-axis.js";
import { metricNames } from "./tables.js";
import { type Frame, hasStep, type Placed, panel, perplexityPanel, stacked } from "./training-panel.js";

/** The most bypasses that are drawn as lines. More are drawn as a heat map. */
export const mostLines = 6;

const metricTitle = ({ metric }: OverTraining) => (metric === undefined ? undefined : metricNames[metric]);

function captionEnd({ axis, doubled, lines }: Frame, all: number): string {
  return [
    "Bands are 95 % confidence intervals by bootstrap over rows and questions.",
    ...(axis.zeroApart ? ["Step 0, before the training, is left of the logarithmic axis."] : []),
    ...(doubled.length > 0
      ? ["Dotted lines are revisions with the weight files of another one, which were not measured."]
      : []),
    ...(lines.length <= all ? [`Another figure shows the ${all} bypasses.`] : []),
  ].join(" ");
}

/** Memorization, accuracy and perplexity against the training step. */
function lineFigure(all: OverTraining, points: readonly Placed[], frame: Frame): Figure[] {
  const memorized = all.metric === "extractableLength" ? undefined : metricTitle(all);
  const [one] = points;
  const tasks = Object.keys(all.chance);
  const accurate = tasks.length > 0;
  const perplexed = one?.perplexity !== undefined;
  const chance = mean(Object.values(all.chance));
  const accuracy = tasks.length === 1 ? `accuracy, ${tasks[0]}` : "mean accuracy over tasks";
  const panels = [
    ...(memorized === undefined
      ? []
      : [
          panel(points, frame, {
            title: memorized,
            value: (point) => point.memorization,
            first: true,
            last: !accurate && !perplexed,
          }),
        ]),
    ...(accurate
      ? [
          panel(points, frame, {
            title: accuracy,
            value: (point) => point.accuracy,
            chance,
            first: memorized === undefined,
            last: !perplexed,
          }),
        ]
      : []),
    ...(perplexed ? [perplexityPanel(points, frame)] : []),
  ];
  if (panels.length === 0) return [];
  const what = [memorized, accurate ? "accuracy" : undefined, perplexed ? "perplexity" : undefined].filter(Boolean);
  const bypassed = frame.lines.length > 1 ? "without a bypass and with each bypass" : "without a bypass";
  return [
    {
      name: "over-training",
      title: "Memorization and ability over training",
      caption:
        `The ${what.join(" and the ")} at each training step, ${bypassed}.` +
        `${accurate ? " The dashed line is chance." : ""} ${captionEnd(frame, all.bypasses.length)}`,
      spec: { vconcat: panels, ...stacked },
    },
  ];
}

/** The accuracy on each task against the training step. */
function taskFigure(all: OverTraining, points: readonly Placed[], frame: Frame): Figure[] {
  const tasks = Object.entries(all.chance);
  if (tasks.length < 2) return [];
  return [
    {
      name: "tasks-over-training",
      title: "Accuracy on each task over training",
      caption: `The accuracy on each task at each training step. Dashed lines are chance. ${captionEnd(frame, all.bypasses.length)}`,
      spec: {
        ...stacked,
        vconcat: tasks.map(([name, chance], index) =>
          panel(points, frame, {
            title: name,
            value: (point) => point.tasks.find((task) => task.name === name)?.accuracy,
            chance,
            first: index === 0,
            last: index === tasks.length - 1,
          }),
        ),
      },
    },
  ];
}

/** Memorization and accuracy of many bypasses at each training step, as heat maps. */
function heatMap(all: OverTraining, points: readonly Placed[]): Figure[] {
  if (all.bypasses.length <= mostLines) return [];
  const bypasses = [noBypass, ...all.bypasses];
  const memorized = metricTitle(all) ?? "";
  const values = points.flatMap(({ step, bypass, memorization, accuracy }) =>
    [
      ...(memorization && all.metric !== "extractableLength" ? [{ what: memorized, value: memorization.value }] : []),
      ...(accuracy ? [{ what: "mean accuracy over tasks", value: accuracy.value }] : []),
    ].map((value) => ({ ...value, step, bypass })),
  );
  const whats = [...new Set(values.map(({ what }) => what))];
  if (whats.length === 0) return [];
  return [
    {
      name: "bypasses-over-training",
      title: "Each bypass over training",
      caption: `The ${whats.join(" and the ")} with each bypass at each training step. The first row is the unmodified model.`,
      spec: {
        data: { values },
        facet: { column: { field: "what", type: "nominal", sort: whats, title: null } },
        spec: {
          width: Math.floor(560 / whats.length),
          height: Math.min(18 * bypasses.length, 540),
          mark: "rect",
          encoding: {
            x: {
              field: "step",
              type: "ordinal",
              title: "training step",
              axis: { labelOverlap: true, labelExpr: "format(datum.value, ',')" },
            },
            y: { field: "bypass", type: "ordinal", sort: bypasses, title: null, axis: { labelOverlap: true } },
            color: {
              field: "value",
              type: "quantitative",
              title: null,
              scale: { scheme: "viridis", domain: [0, 1], clamp: true },
              legend: { format: "%", orient: "right", gradientLength: 80 },
            },
          },
        },
      },
    },
  ];
}

/** Returns the figures of the revisions that have a training step; none if fewer than two were measured. */
export function trainingFigures(all: OverTraining, result: RevisionsResult): Figure[] {
  const points = all.points.filter(hasStep);
  const steps = [...new Set(points.map(({ step }) => step))];
  if (steps.length < 2) return [];
  const doubled = doubledRevisions(result).filter(({ step }) => step !== undefined);
  const axis = stepAxis([...steps, ...doubled.map(({ step }) => step as number)]);
  const lines = [noBypass, ...(all.bypasses.length <= mostLines ? all.bypasses : [])];
  const frame: Frame = {
    axis,
    lines,
    doubled: doubled.map(({ name, step, sameWeightsAs }) => ({
      at: axis.place(step as number),
      text: `${name}: weights of ${sameWeightsAs}`,
    })),
  };
  return [...lineFigure(all, points, frame), ...taskFigure(all, points, frame), ...heatMap(all, points)];
}
