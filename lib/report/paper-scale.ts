import { largest } from "../statistics/statistics.js";
import { ability, colours, type Figure, memorization, percentAxis } from "./figure.js";
import { type AnalysedModel, lateBlockOf, quarter } from "./paper-model.js";
import { settingTitle } from "./paper-panel.js";
import type { RemainingShares } from "./remaining.js";

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

/** Returns the logarithmic axis of the number of parameters, with the names of the models. */
function sizeAxis(models: readonly AnalysedModel[], labelled: boolean): object {
  const sizes = [...new Set(models.map(({ parameters }) => parameters))];
  const names = sizes.map((size) =>
    models
      .filter(({ parameters }) => parameters === size)
      .map(({ name }) => name)
      .join(", "),
  );
  const name = `${JSON.stringify(names)}[indexof(${JSON.stringify(sizes)}, datum.value)]`;
  return {
    field: "parameters",
    type: "quantitative",
    title: labelled ? "parameters" : null,
    scale: { type: "log", domain: around(sizes), nice: false },
    axis: {
      values: sizes,
      labels: labelled,
      labelExpr: `${name} + ', ' + replace(format(datum.value, '.3s'), 'G', 'B')`,
      labelAngle: -25,
      labelLimit: 160,
      grid: false,
    },
  };
}

function panel(values: readonly object[], x: object, title: string | null, top: number): object {
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
    height: 150,
    data: { values },
    encoding: { x },
    layer: [
      { mark: { type: "rule", strokeWidth: 1.4 }, encoding: { y: y("low"), y2: { field: "high" }, color } },
      {
        mark: { type: "point", filled: true, size: 70, opacity: 1 },
        encoding: { y: y("value"), color, shape: { ...bypass, scale: { domain: names } } },
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
        spacing: 16,
        vconcat: shown.map((quantity, row) => ({
          bounds: "flush",
          spacing,
          hconcat: settings.map((setting, column) => ({
            width: Math.floor((width - spacing * (settings.length - 1)) / settings.length),
            ...(row === 0 && { title: { text: setting, fontSize: 11, fontWeight: "normal", anchor: "middle" } }),
            ...panel(
              all.filter((point) => point.setting === setting && point.quantity === quantity),
              sizeAxis(models, row === shown.length - 1),
              column === 0 ? `${quantity} remaining` : null,
              top,
            ),
          })),
        })),
      },
    },
  ];
}
