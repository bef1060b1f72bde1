import * as v from "valibot";
import { withText } from "../display/text-form.js";
import { invalidArgument, validate } from "../errors/validation.js";
import { checkSweep } from "../sweep/check-result.js";
import type { AnySweepResult, SweepResult } from "../sweep/result.js";
import { comparisonFigures, comparisonTable } from "./comparison.js";
import type { Figure } from "./figure.js";
import { sweepFigures } from "./figures.js";
import { findings } from "./findings.js";
import { relativeToBase } from "./kept.js";
import { surveyFigures } from "./survey-figures.js";
import { type ReportTable, sweepTables } from "./tables.js";

/** What a sweep shows. Whoever has more to say of it adds it before it is written. */
export interface Report {
  /** Stands above all. */
  title: string;
  /** The model, in a line. */
  description: string;
  /** What the sweep found, in sentences. */
  findings: string[];
  /** In the order in which they are drawn. */
  figures: Figure[];
  /** In the order in which they are written. */
  tables: ReportTable[];
  /** All that decides the numbers, by what it is the settings of. */
  settings: Record<string, unknown>;
}

/** Options of `createReport`. */
export interface ReportOptions {
  /** What the model is called. Defaults to its family. */
  name?: string;
  /** Another sweep to put next to it, of the same model or of another. */
  compare?: {
    /** What its model is called; another name than the first's. */
    name: string;
    /** Its result. */
    sweep: AnySweepResult;
  };
}

const schema = v.strictObject({
  name: v.optional(v.pipe(v.string(), v.nonEmpty("a name"))),
  compare: v.optional(v.strictObject({ name: v.pipe(v.string(), v.nonEmpty("a name")), sweep: v.any() })),
});

function describe({ settings, cost }: SweepResult): string {
  const { model, device, dtype } = settings;
  const { family, blockCount, headCount, hiddenSize } = model.config;
  const time = cost === undefined ? "" : `; swept in ${cost.seconds.toFixed(0)} s`;
  return `${family}, ${blockCount} blocks of ${headCount} heads, ${hiddenSize} wide, ${dtype} on ${device}${time}`;
}

/**
 * Figures, tables and sentences from the result of a sweep: what each bypass leaves of memorization and ability, with
 * 95 % confidence intervals by bootstrap, how far it takes the model and what attention adds. What the sweep has not
 * measured is left out. Throws INVALID_ARGUMENT, SWEEP_INVALID.
 */
export function createReport(sweep: AnySweepResult, options: ReportOptions = {}): Report {
  return withText(reportOf(sweep, options), reportText);
}

function reportText({ title, description, findings, figures, tables }: Report): string {
  const named = (what: string, names: string[]) => `${what}: ${names.join(", ") || "none"}`;
  return [
    title,
    description,
    ...findings.map((sentence) => `- ${sentence}`),
    named(
      "figures",
      figures.map(({ name }) => name),
    ),
    named(
      "tables",
      tables.map(({ title }) => title),
    ),
  ].join("\n");
}

function reportOf(sweep: AnySweepResult, options: ReportOptions): Report {
  const { name, compare } = validate(schema, options, "options");
  const result = checkSweep(sweep);
  const relative = relativeToBase(result);
  const own = name ?? result.settings.model.config.family;
  if (compare === undefined) {
    return {
      title: `Where ${own} keeps what it memorized`,
      description: describe(result),
      findings: findings(result, relative),
      figures: [...sweepFigures(relative, result), ...surveyFigures(result)],
      tables: sweepTables(result, relative),
      settings: { [own]: { ...result.settings, cost: result.cost } },
    };
  }
  if (compare.name === own) throw invalidArgument("options.compare.name", `another name than ${own}`, compare.name);
  const other = checkSweep(compare.sweep, "options.compare.sweep");
  const relativeOther = relativeToBase(other);
  const named = (one: SweepResult, name: string, relative: typeof relativeOther) => ({
    name,
    relative,
    blockCount: one.settings.model.config.blockCount,
  });
  const pair = [named(result, own, relative), named(other, compare.name, relativeOther)] as const;
  const of = (name: string, tables: ReportTable[]) =>
    tables.map((table) => ({ ...table, title: `${name}: ${table.title}` }));
  return {
    title: `${own} and ${compare.name}`,
    description: `${own}: ${describe(result)}. ${compare.name}: ${describe(other)}`,
    findings: [
      ...findings(result, relative).map((sentence) => `${own}: ${sentence}`),
      ...findings(other, relativeOther).map((sentence) => `${compare.name}: ${sentence}`),
    ],
    figures: comparisonFigures(pair),
    tables: [
      comparisonTable(pair),
      ...of(own, sweepTables(result, relative)),
      ...of(compare.name, sweepTables(other, relativeOther)),
    ],
    settings: {
      [own]: { ...result.settings, cost: result.cost },
      [compare.name]: { ...other.settings, cost: other.cost },
    },
  };
}
