import * as v from "valibot";
import { withText } from "../display/text-form.js";
import { validate } from "../errors/validation.js";
import { checkRevisions } from "../revisions/check-result.js";
import {
  type AnyRevisionsResult,
  doubledRevisions,
  type MeasuredRevision,
  measuredRevisions,
  type RevisionsResult,
} from "../revisions/result.js";
import { doubledSentence } from "../revisions/sentences.js";
import { noBypass, type OverTraining, overTraining, type TrainingPoint } from "./over-training.js";
import { relativeToBase } from "./remaining.js";
import { describe, type Report, reportText } from "./report.js";
import type { ReportTable } from "./report-table.js";
import { measuredTable, metricNames, withInterval } from "./tables.js";
import { mostLines, trainingFigures } from "./training-figures.js";

/** Options of `createTrainingReport`. */
export interface TrainingReportOptions {
  /** The name of the model in the report. Defaults to the model of the result. */
  name?: string;
}

const schema = v.strictObject({ name: v.optional(v.pipe(v.string(), v.nonEmpty("a name"))) });

const stepText = (step: number | undefined) => step?.toLocaleString("en-US") ?? "–";

/** The measurements under each bypass for each revision, and a row for each revision with doubled weights. */
function table(result: RevisionsResult): ReportTable {
  const tables = new Map(
    measuredRevisions(result).map(({ name, sweep }) => [name, measuredTable(sweep, relativeToBase(sweep))]),
  );
  const [{ head = [] } = {}] = tables.values();
  return {
    title: "Measurements of each revision",
    head: ["revision", "step", ...head],
    rows: result.revisions.flatMap(({ name, step, sameWeightsAs }) =>
      sameWeightsAs === undefined
        ? (tables.get(name)?.rows ?? []).map((row) => [name, stepText(step), ...row])
        : [[name, stepText(step), `same weights as ${sameWeightsAs}`, ...head.slice(1).map(() => "")]],
    ),
  };
}

const at = ({ revision, step }: TrainingPoint) => (step === undefined ? revision : `step ${stepText(step)}`);

/** Compares the first and the last revision under one bypass. */
function change({ metric, points }: OverTraining, bypass: string): string[] {
  const own = points.filter((point) => point.bypass === bypass && point.step !== undefined);
  const [first, last] = [own[0], own.at(-1)];
  if (first === undefined || last === undefined || first === last) return [];
  const values = ({ memorization, accuracy }: TrainingPoint) => [
    ...(memorization && metric && metric !== "extractableLength"
      ? [`${metricNames[metric]} is ${withInterval(memorization)}`]
      : []),
    ...(accuracy ? [`accuracy is ${withInterval(accuracy)}`] : []),
  ];
  if (values(first).length === 0) return [];
  const model = bypass === noBypass ? "Without a bypass" : `With ${bypass} bypassed`;
  return [
    `${model}, ${values(first).join(" and ")} at ${at(first)}, and ${values(last).join(" and ")} at ${at(last)}.`,
  ];
}

function findings(all: OverTraining, result: RevisionsResult): string[] {
  const without = result.revisions.filter(({ step }) => step === undefined).map(({ name }) => name);
  const bypasses = all.bypasses.length <= mostLines ? all.bypasses : [];
  return [
    ...[noBypass, ...bypasses].flatMap((bypass) => change(all, bypass)),
    ...doubledRevisions(result).map(doubledSentence),
    ...(without.length > 0 ? [`Figures omit ${without.join(", ")}, because the name has no training step.`] : []),
  ];
}

function settingsOf(result: RevisionsResult, { sweep }: MeasuredRevision): object {
  const { model, ...settings } = sweep.settings;
  return {
    ...settings,
    model: { config: model.config },
    revisions: result.revisions.map(({ sweep: own, ...revision }) => ({ ...revision, ...(own && { cost: own.cost }) })),
  };
}

/**
 * Creates a report from the result of `sweepRevisions`: memorization, accuracy and perplexity against the training
 * step, without a bypass and with each bypass, with 95 % confidence intervals by bootstrap. Revisions with the weights
 * of another one are marked. Throws INVALID_ARGUMENT, SWEEP_INVALID, REVISIONS_DIFFER.
 */
export function createTrainingReport(result: AnyRevisionsResult, options: TrainingReportOptions = {}): Report {
  const { name } = validate(schema, options, "options");
  const checked = checkRevisions(result);
  const [first] = measuredRevisions(checked) as [MeasuredRevision, ...MeasuredRevision[]];
  const all = overTraining(checked);
  const modelName = name ?? checked.model;
  const { cost: _, ...untimed } = first.sweep;
  return withText(
    {
      title: `Memorization and ability over the training of ${modelName}`,
      description: `${describe(untimed)}; ${checked.revisions.length} revisions`,
      findings: findings(all, checked),
      figures: trainingFigures(all, checked),
      tables: [table(checked)],
      settings: { [modelName]: settingsOf(checked, first) },
    },
    reportText,
  );
}
