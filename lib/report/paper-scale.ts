import { ability, colours, type Figure, memorization, percentAxis } from "./figure.js";
import { type AnalysedModel, lateBlockOf, quarter } from "./paper-model.js";
import { settingTitle } from "./paper-panel.js";
import type { RemainingShares } from "./remaining.js";

const lastQuarter = "last quarter";
const lateBlock = "one late block";
const range = [colours.tasks[2], colours.tasks[3]];

/** The factor by which the axis is wider than the models on each side, so that labels have room. */
const margin = 1.35;

/** What remains in each model against its number of parameters. Left out if there is only one model. */
export function scaleFigure(models: readonly AnalysedModel[]): Figure[] {
  const attention = models.flatMap((model) =>
    model.settings
      .filter(({ part }) => part === "attention")
      .flatMap((setting) => {
        const shown = (what: string, shares: RemainingShares | undefined) =>
          ([memorization, ability] as const).flatMap((quantity) => {
            const interval = shares?.[quantity];
            if (interval === undefined) return [];
            const { name, parameters } = model;
            return [{ name, parameters, what, quantity, setting: settingTitle(setting), ...interval }];
          });
        return [...shown(lastQuarter, quarter(model, setting, 4)), ...shown(lateBlock, lateBlockOf(model, setting))];
      }),
  );
  if (models.length < 2 || attention.length === 0) return [];
  const sizes = models.map(({ parameters }) => parameters);
  const domain = [Math.min(...sizes) / margin, Math.max(...sizes) * margin];
  const settings = [...new Set(attention.map(({ setting }) => setting))];
  const quantities = [memorization, ability].filter((name) => attention.some(({ quantity }) => quantity === name));
  const x = {
    field: "parameters",
    type: "quantitative",
    title: "parameters",
    scale: { type: "log", domain, nice: false },
    axis: {
      values: sizes,
      labelExpr: "replace(format(datum.value, '.3s'), 'G', 'B')",
      labelOverlap: true,
      grid: false,
    },
  };
  const names = [lastQuarter, lateBlock];
  const what = { field: "what", type: "nominal", sort: names, title: null };
  const color = { ...what, scale: { domain: names, range } };
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
        vconcat: quantities.map((quantity, row) => ({
          hconcat: settings.map((setting, column) => {
            const values = attention.filter((value) => value.setting === setting && value.quantity === quantity);
            return {
              title: row === 0 ? { text: setting, fontSize: 11, fontWeight: "normal", anchor: "middle" } : "",
              width: Math.floor((700 - 40 * (settings.length - 1)) / settings.length),
              height: 150,
              data: { values },
              encoding: { x: { ...x, ...(row < quantities.length - 1 && { title: null }) } },
              layer: [
                {
                  mark: { type: "rule", strokeWidth: 1.4 },
                  encoding: {
                    y: {
                      field: "low",
                      type: "quantitative",
                      title: column === 0 ? `${quantity} remaining` : null,
                      axis: percentAxis,
                    },
                    y2: { field: "high" },
                    color,
                  },
                },
                {
                  mark: { type: "point", filled: true, size: 70, opacity: 1 },
                  encoding: {
                    y: { field: "value", type: "quantitative" },
                    color,
                    shape: { ...what, scale: { domain: names } },
                  },
                },
              ],
            };
          }),
        })),
      },
    },
  ];
}
