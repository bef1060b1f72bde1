import * as v from "valibot";
import { withText } from "../display/text-form.js";
import { invalidArgument, validate } from "../errors/validation.js";
import { chosenMetrics } from "../selectivity/metrics.js";
import type { Selectivity } from "../selectivity/result.js";
import { selectivityIn } from "../selectivity/selectivity.js";
import { checkSweep } from "../sweep/check-result.js";
import type { AnySweepResult, SweepResult } from "../sweep/result.js";
import { comparisonFigures, comparisonTable, type NamedResult } from "./comparison.js";
import type { Figure } from "./figure.js";
import { sweepFigures } from "./figures.js";
import { findings } from "./findings.js";
import { type RelativeResult, relativeToBase } from "./remaining.js";
import type { ReportTable } from "./report-table.js";
import { surveyFigures } from "./survey-figures.js";
import { sweepTables } from "./tables.js";

/** A report on a sweep, as plain data. Findings, figures and tables can be changed or added before it is written. */
export interface Report {
  /** The title of the report. */
  title: string;
  /** One line about the model, its dtype and device, and the time of the sweep. */
  description: string;
  /** The findings, one or more sentences each. */
  findings: string[];
  /** The figures, in the order in which they are shown. */
  figures: Figure[];
  /** The tables, in the order in which they are shown. */
  tables: ReportTable[];
  /** The settings and cost of each sweep, by name. */
  settings: Record<string, unknown>;
}

/** Options of `createReport`. */
export interface ReportOptions {
  /** The name of the model in the report. Defaults to its family. */
  name?: string;
  /** A second sweep to compare with, of the same model or another. */
  compare?: {
    /** The name of the second sweep's model in the report. Must differ from `name`. */
    name: string;
    /** The result of the second sweep. */
    sweep: AnySweepResult;
  };
}

const schema = v.strictObject({
  name: v.optional(v.pipe(v.string(), v.nonEmpty("a name"))),
  compare: v.optional(v.strictObject({ name: v.pipe(v.string(), v.nonEmpty("a name")), sweep: v.any() })),
});

/** Returns one line about the model, and the time of the sweep if it is known. */
export function describe({
  settings,
  cost,
}: Pick<SweepResult, "settings"> & Partial<Pick<SweepResult, "cost">>): string {
  const { model, device, dtype } = settings;
  const { family, blockCount, headCount, hiddenSize } = model.config;
  const time = cost === undefined ? "" : `; sweep took ${cost.seconds.toFixed(0)} s`;
  return `${family}, ${blockCount} blocks of ${headCount} heads, hidden size ${hiddenSize}, ${dtype} on ${device}${time}`;
}

/**
 * Creates a report from the result of a sweep: findings, figures and tables of the memorization and ability that remain
 * under each bypass, with 95 % confidence intervals by bootstrap, of the divergence from the unmodified model, and of
 * attention outputs. Contains only what the sweep measured. Throws INVALID_ARGUMENT, SWEEP_INVALID.
 */
export function createReport(sweep: AnySweepResult, options: ReportOptions = {}): Report {
  return withText(reportOf(sweep, options), reportText);
}

/** Returns the title, the findings and the names of the figures and tables. */
export function reportText({ title, description, findings, figures, tables }: Report): string {
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

/** Returns the selectivity in the metrics that a report shows. Undefined for a sweep without control rows. */
function selectivityFor(sweep: SweepResult, { metric }: RelativeResult): Selectivity | undefined {
  if (!sweep.base.control) return undefined;
  return selectivityIn(sweep, [...new Set([...(metric ? [metric] : []), ...chosenMetrics(sweep)])]);
}

function reportOf(sweep: AnySweepResult, options: ReportOptions): Report {
  const { name, compare } = validate(schema, options, "options");
  const result = checkSweep(sweep);
  const relative = relativeToBase(result);
  const selectivity = selectivityFor(result, relative);
  const firstName = name ?? result.settings.model.config.family;
  if (compare === undefined) {
    return {
      title: `How bypasses change memorization and ability in ${firstName}`,
      description: describe(result),
      findings: findings(result, relative, selectivity),
      figures: [...sweepFigures(relative, result, selectivity), ...surveyFigures(result)],
      tables: sweepTables(result, relative, selectivity),
      settings: { [firstName]: { ...result.settings, cost: result.cost } },
    };
  }
  if (compare.name === firstName)
    throw invalidArgument("options.compare.name", `a name other than ${firstName}`, compare.name);
  const other = checkSweep(compare.sweep, "options.compare.sweep");
  const relativeOther = relativeToBase(other);
  const selectivityOther = selectivityFor(other, relativeOther);
  const named = (
    one: SweepResult,
    name: string,
    relative: RelativeResult,
    selectivity: Selectivity | undefined,
  ): NamedResult => ({
    name,
    relative,
    selectivity,
    blockCount: one.settings.model.config.blockCount,
  });
  const pair = [
    named(result, firstName, relative, selectivity),
    named(other, compare.name, relativeOther, selectivityOther),
  ] as const;
  const prefixed = (name: string, tables: ReportTable[]) =>
    tables.map((table) => ({ ...table, title: `${name}: ${table.title}` }));
  return {
    title: `Comparison of ${firstName} and ${compare.name}`,
    description: `${firstName}: ${describe(result)}. ${compare.name}: ${describe(other)}`,
    findings: [
      ...findings(result, relative, selectivity).map((sentence) => `${firstName}: ${sentence}`),
      ...findings(other, relativeOther, selectivityOther).map((sentence) => `${compare.name}: ${sentence}`),
    ],
    figures: comparisonFigures(pair),
    tables: [
      comparisonTable(pair),
      ...prefixed(firstName, sweepTables(result, relative, selectivity)),
      ...prefixed(compare.name, sweepTables(other, relativeOther, selectivityOther)),
    ],
    settings: {
      [firstName]: { ...result.settings, cost: result.cost },
      [compare.name]: { ...other.settings, cost: other.cost },
    },
  };
}
