import { plainPlan } from "../bypass/bypass.js";
import { validate } from "../errors/validation.js";
import { type SurveyedBypass, survey } from "../measure/survey.js";
import type { MemorizationMetric } from "../metrics/memorization.js";
import { part, rising } from "../operation/operation.js";
import { compareWithFloat32 } from "../scoring/precision.js";
import { scoreRows } from "../scoring/rescoring.js";
import type { RowScores } from "../scoring/scored-row.js";
import { defaultMemory } from "../session/memory-budget.js";
import type { Session } from "../session/session.js";
import { describeSettings } from "./describe-settings.js";
import { readMeasures, toScores } from "./measures.js";
import { type CheckedSweepOptions, type SweepOptions, sweepOptions } from "./options.js";
import type { SweepResult } from "./result.js";
import { ResumeFile } from "./resume-file.js";
import { type Swept, toVariants } from "./variants.js";

/** Passes over a row that take as long as scoring it: in float32, with rescored weights read from files. */
const float32Passes = 2;
/** The same in float64, with and without the bypass. */
const float64Passes = 8;

/**
 * Measures the model without a bypass and with each of many. One forward pass serves all of them: up to the first block
 * where they differ, variants share one residual stream.
 */
export async function sweep<Metric extends MemorizationMetric = MemorizationMetric>(
  session: Session,
  options: SweepOptions<Metric>,
): Promise<SweepResult<Metric>> {
  const began = performance.now();
  const checked = validate(sweepOptions, options, "options");
  const { signal, compareRows, temperature, topK = 0 } = checked;
  const variants = toVariants(checked as CheckedSweepOptions & Swept, session.config);
  const plans = [plainPlan(session.config), ...variants.map(({ plan }) => plan)];
  const measures = await readMeasures(session, checked);
  const rows = [...measures.samples, ...measures.windows, ...measures.tasks.flatMap((task) => task.rows)];
  // Samples come first of all.
  const surveyed = rows.slice(0, checked.survey);
  const settings = await describeSettings(session, checked, measures, surveyed);
  // A survey is quick next to the rest, so it is not kept in the file to resume from.
  const { survey: _, ...resumable } = settings;
  signal?.throwIfAborted();

  const memory = { asked: checked.memory, standard: defaultMemory(session) };
  const file =
    checked.resume === undefined
      ? undefined
      : await ResumeFile.open(checked.resume, { ...resumable }, memory, { rows: rows.length, plans: plans.length });
  const budget = file?.memory ?? memory.asked ?? memory.standard;
  const scheme = { temperature, topK };
  const compared = session.dtype === "float32" ? 0 : (compareRows ?? Math.ceil(rows.length / 64));
  const work = rows.length + float32Passes * compared + float64Passes * surveyed.length;
  const scored = rows.length / work;
  const compareEnd = (rows.length + float32Passes * compared) / work;
  const operation = rising(checked);
  const before = file?.seconds ?? 0;
  let operations = file?.operations ?? 0;
  const onOperations = (count: number) => {
    operations += count;
  };
  let last = began;
  try {
    const scores = await scoreRows(session, rows, plans, {
      ...part(operation, 0, scored),
      scheme,
      memory: budget,
      known: file?.done,
      onOperations,
      onRows: async (indices, done, cost) => {
        const now = performance.now();
        await file?.add(indices, done, { operations: cost, seconds: (now - last) / 1000 });
        last = now;
      },
    });
    const precision =
      compared === 0
        ? undefined
        : await compareWithFloat32(session, rows, plans, scores, {
            ...part(operation, scored, compareEnd),
            rows: compared,
            scheme,
            memory: budget,
            onOperations,
          });
    const found =
      surveyed.length === 0
        ? undefined
        : await survey(
            session,
            surveyed.map(({ tokens }) => tokens.slice(0, session.config.contextLength)),
            variants.map(({ plan }) => plan),
            part(operation, compareEnd, 1),
          );
    const under = (plan: number) =>
      toScores(
        measures,
        scores.map((row) => row[plan] as RowScores),
        checked.metrics as Metric[],
      );
    return {
      base: under(0),
      variants: variants.map(({ variant }, index) => ({
        ...variant,
        ...under(index + 1),
        ...(found && { divergence: found.bypasses[index] as SurveyedBypass }),
      })),
      ...(found && { attention: found.attention }),
      ...(precision && { precision }),
      settings,
      cost: {
        seconds: before + (performance.now() - began) / 1000,
        operations,
        memory: budget,
        node: process.version,
      },
    };
  } finally {
    await file?.close();
  }
}
