import { largest } from "../statistics/statistics.js";
import { ability, colours, type Figure, memorization, percentAxis } from "./figure.js";
import { type AnalysedModel, lateBlockOf, quarter } from "./paper-model.js";
import { titleLayer } from "./paper-panel.js";
import type { RemainingShares } from "./remaining.js";
import { settingTitle } from "./setting.js";

const bypasses = { "last quarter": colours.tasks[2], "one late block": colours.tasks[3] };
const quantities = [memorization, ability] as const;

const width = 690;
const spacing = 50;

/** Returns what remains in a model with attention bypassed in the last quarter, and in one late block. */
function pointsOf(model: AnalysedModel): object[] {
  const { name, parameters, settings } = model;
  return settings
    .filter(({ part }) => part === "attention")
    .flatMap((setting) => {
      const points = (bypass: keyof typeof bypasses, shares: RemainingShares | undefined) =>
        quantities.flatMap((quantity) =>
          shares?.[quantity]
            ? [{ name, parameters, bypass, quantity, setting: settingTitle(setting), ...shares[quantity] }]
            : [],
        );
      return [
        ...points("last quarter", quarter(model, setting, 4)),
        ...points("one late block", lateBlockOf(model, setting)),
      ];
    });
}

/** Returns the ends of an axis that is wider than the models on each side, so that labels have room. */
function around(sizes: readonly number[]): [number, number] {
  const [from, to] = [-largest(sizes.map((size) => -size)), largest(sizes)];
  const margin = Math.max(1.1, (to / from) ** 0.15);
  return [from / margin, to * margin];
}

/** Models that are nearer than this share of the axis have one label. */
const near = 0.08;

/** Returns the sizes that have a label, and the lines of each label: the models of about that size. */
function labels(models: readonly AnalysedModel[]): { sizes: number[]; lines: string[][] } {
  const [from, to] = around(models.map(({ parameters }) => parameters));
  const groups: AnalysedModel[][] = [];
  for (const model of models.toSorted((one, other) => one.parameters - other.parameters)) {
    const group = groups.at(-1);
    if (group?.[0] && model.parameters < group[0].parameters * (to / from) ** near) group.push(model);
    else groups.push([model]);
  }
  return {
    sizes: groups.map(([first]) => first?.parameters ?? 0),
    lines: groups.map((group) => group.map(({ name, parameters }) => `${name}, ${inLetters(parameters)}`)),
  };
}

/** Returns a number of parameters as in 1.41B. */
function inLetters(count: number): string {
  for (const [size, letter] of [
    [1e9, "B"],
    [1e6, "M"],
  ] as const) {
    if (count >= size) return `${(count / size).toPrecision(3)}${letter}`;
  }
  return String(count);
}

/** Returns the logarithmic axis of the number of parameters, with the names of the models. */
function sizeAxis(models: readonly AnalysedModel[], labelled: boolean): object {
  const { sizes, lines } = labels(models);
  return {
    field: "parameters",
    type: "quantitative",
    title: labelled ? "parameters" : null,
    scale: { type: "log", domain: around(models.map(({ parameters }) => parameters)), nice: false },
    axis: {
      values: sizes,
      labels: labelled,
      labelExpr: `${JSON.stringify(lines)}[indexof(${JSON.stringify(sizes)}, datum.value)]`,
      labelAngle: -25,
      labelAlign: "right",
      labelBaseline: "top",
      labelLimit: 0,
      labelOverlap: false,
      grid: false,
    },
  };
}

function panel(
  values: readonly object[],
  x: object,
  { title, width, name, top }: { title: string | null; width: number; name: string | undefined; top: number },
): object {
  const names = Object.keys(bypasses);
  const bypass = { field: "bypass", type: "nominal", sort: names, title: null };
  const color = { ...bypass, scale: { domain: names, range: Object.values(bypasses) } };
  const y = (field: string) => ({
    field,
    type: "quantitative",
    title,
    axis: percentAxis,
    scale: { domain: [0, top], nice: false },
  });
  return {
    width,
    height: 150,
    layer: [
      ...(name === undefined ? [] : [titleLayer(name, width)]),
      {
        data: { values },
        mark: { type: "rule", strokeWidth: 1.4 },
        encoding: { x, y: y("low"), y2: { field: "high" }, color },
      },
      {
        data: { values },
        mark: { type: "point", filled: true, size: 70, opacity: 1 },
        encoding: { x, y: y("value"), color, shape: { ...bypass, scale: { domain: names } } },
      },
    ],
  };
}

/** What remains in each model against its number of parameters. Left out if there is only one model. */
export function scaleFigure(models: readonly AnalysedModel[]): Figure[] {
  const all = models.flatMap(pointsOf) as { setting: string; quantity: string; high: number }[];
  if (models.length < 2 || all.length === 0) return [];
  const settings = [...new Set(all.map(({ setting }) => setting))];
  const shown = quantities.filter((name) => all.some(({ quantity }) => quantity === name));
  const top = Math.max(1, largest(all.map(({ high }) => high)));
  return [
    {
      name: "scale",
      title: "What remains by the size of the model",
      caption:
        "The memorization and the ability that remain with attention bypassed in the last quarter of the blocks, and in the " +
        "block of that quarter that removes memorization at the least cost, against the number of parameters on a " +
        "logarithmic axis. The block is chosen on one half of the rows and questions and measured on the other. Values " +
        "are shares of the unmodified model's. Lines are 95 % confidence intervals.",
      spec: {
        spacing: 28,
        vconcat: shown.map((quantity, row) => ({
          bounds: "flush",
          spacing,
          hconcat: settings.map((setting, column) =>
            panel(
              all.filter((point) => point.setting === setting && point.quantity === quantity),
              sizeAxis(models, row === shown.length - 1),
              {
                title: column === 0 ? `${quantity} remaining` : null,
                width: Math.floor((width - spacing * (settings.length - 1)) / settings.length),
                name: row === 0 ? setting : undefined,
                top,
              },
            ),
          ),
        })),
      },
    },
  ];
}
