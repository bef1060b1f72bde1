import { withText } from "../display/text-form.js";
import { paperModes } from "../paper/bypasses.js";
import { checkPaper } from "../paper/check-result.js";
import type { PaperResult } from "../paper/result.js";
import { Bootstrap } from "../statistics/bootstrap.js";
import { claims, type Judgement } from "./paper-claims.js";
import { paperFigures } from "./paper-figures.js";
import { judge } from "./paper-judgements.js";
import { type AnalysedModel, analyse, lateBlockOf, quarter } from "./paper-model.js";
import { publishedSentences, publishedTable } from "./paper-published.js";
import { claimSentences, list } from "./paper-sentences.js";
import { type RemainingShares, singleBlock } from "./remaining.js";
import { type Report, reportText } from "./report.js";
import type { ReportTable } from "./report-table.js";
import { settingTitle } from "./setting.js";
import { accuracyInterval, measuredTable, memorizationInterval, withInterval } from "./tables.js";

/** Returns a number of parameters in words, such as 1.41 billion. */
function inWords(count: number): string {
  for (const [size, word] of [
    [1e9, "billion"],
    [1e6, "million"],
  ] as const) {
    if (count >= size) return `${(count / size).toPrecision(3)} ${word}`;
  }
  return count.toLocaleString("en-US");
}

const definitions =
  "Memorization is exact match, and ability is accuracy above chance, a mean over the tasks on which the unmodified model " +
  "is above chance. Both are shares of the unmodified model's. Intervals are 95 %.";

/** Returns one line about the models and the tasks. */
function describe(models: readonly AnalysedModel[]): string {
  const tasks = Object.keys(models[0]?.sweep.base.tasks ?? {});
  const devices = [...new Set(models.map(({ sweep }) => sweep.settings.device))];
  const sizes = models.map(({ parameters }) => parameters).toSorted((one, other) => one - other);
  const ends = [...new Set([sizes[0], sizes.at(-1)].map((size) => inWords(size ?? 0)))].join(" to ");
  return `${models.length === 1 ? "1 model" : `${models.length} models`} of ${ends} parameters; tasks: ${list(tasks)}; on ${list(devices)}`;
}

/** The unmodified models. */
function modelTable(models: readonly AnalysedModel[], bootstrap: Bootstrap): ReportTable {
  return {
    title: "The models",
    head: [
      ...["model", "family", "parameters", "blocks", "dtype", "seconds"],
      ...["samples", "exact match", "mean accuracy", "shape of"],
    ],
    rows: models.map(({ name, parameters, sweep, published }) => [
      name,
      sweep.settings.model.config.family,
      inWords(parameters),
      String(sweep.settings.model.config.blockCount),
      sweep.settings.dtype,
      sweep.cost?.seconds.toFixed(0) ?? "–",
      (sweep.base.memorization?.perRow.length ?? 0).toLocaleString("en-US"),
      withInterval(memorizationInterval(sweep.base, bootstrap)),
      withInterval(accuracyInterval(sweep.base, bootstrap)),
      published?.name ?? "–",
    ]),
  };
}

/** What remains in each model under the bypasses that the paper's findings are about. */
function remainingTable(models: readonly AnalysedModel[]): ReportTable {
  const row = (name: string, bypass: string, setting: string, shares: RemainingShares | undefined) =>
    shares === undefined
      ? []
      : [[name, setting, bypass, withInterval(shares.memorization), withInterval(shares.ability)]];
  return {
    title: "What remains",
    head: ["model", "part and mode", "bypass", "memorization remaining", "ability remaining"],
    rows: models.flatMap((model) =>
      model.settings.flatMap((setting) => {
        const late = lateBlockOf(model, setting);
        const title = settingTitle(setting);
        return [
          ...([1, 2, 3, 4] as const).flatMap((number) =>
            row(model.name, `quarter ${number}`, title, quarter(model, setting, number)),
          ),
          ...row(model.name, `block ${late && singleBlock(late.variant)}, chosen on half the rows`, title, late),
        ];
      }),
    ),
  };
}

function claimTable(all: readonly Judgement[]): ReportTable {
  const modes = paperModes.filter((mode) => all.some((one) => one.mode === mode));
  const rowOf = ({ claim, model }: Judgement) => [claims[claim].name, model];
  const rows = new Map(all.map((one) => [JSON.stringify(rowOf(one)), one]));
  return {
    title: "Claims, and whether they hold here",
    head: ["claim", "model", ...modes],
    rows: [...rows.values()].map((row) => [
      ...rowOf(row),
      ...modes.map((mode) => {
        const own = all.find((one) => one.claim === row.claim && one.model === row.model && one.mode === mode);
        return own?.verdict ?? "–";
      }),
    ]),
  };
}

/**
 * Creates a report from the result of `reproducePaper`: exact match, accuracy and entropy by block and by quarter of the
 * blocks, attention next to MLPs, memorized rows next to control rows, what remains by the size of the models, the
 * paper's findings with the verdict of these measurements, and the paper's numbers for models of the same shape.
 * Throws SWEEP_INVALID.
 */
export function createPaperReport(result: PaperResult): Report {
  const checked = checkPaper(result);
  const bootstrap = new Bootstrap();
  const models = analyse(checked, bootstrap);
  const all = judge(models, bootstrap);
  const names = models.map(({ name }) => name);
  return withText(
    {
      title: `Memorization and attention in ${list(names)}`,
      description: describe(models),
      findings: [definitions, ...claimSentences(all), ...publishedSentences(models, bootstrap)],
      figures: paperFigures(models, bootstrap),
      tables: [
        claimTable(all),
        ...publishedTable(models, bootstrap),
        modelTable(models, bootstrap),
        remainingTable(models),
        ...models.map(({ name, sweep, relative }) => {
          const table = measuredTable(sweep, relative, bootstrap);
          return { ...table, title: `${name}: measurements under each bypass` };
        }),
      ],
      settings: Object.fromEntries(models.map(({ name, sweep }) => [name, { ...sweep.settings, cost: sweep.cost }])),
    },
    reportText,
  );
}
