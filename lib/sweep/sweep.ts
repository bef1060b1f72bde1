import { plainPlan } from "../bypass/bypass.js";
import { validate } from "../errors/validation.js";
import { type SurveyedBypass, survey } from "../measure/survey.js";
import type { DefaultMemorizationMetric, MemorizationMetric } from "../metrics/memorization-scores.js";
import { addSampledMatches, samplingWork } from "../metrics/sampled-match.js";
import { part, rising } from "../operation/operation.js";
import { compareWithFloat32 } from "../scoring/precision.js";
import { scoreRows } from "../scoring/rescoring.js";
import type { RowScores } from "../scoring/scored-row.js";
import { defaultMemory } from "../session/memory-budget.js";
import type { Session } from "../session/session.js";
import { describeSettings } from "./describe-settings.js";
import { FinishedRows } from "./finished-rows.js";
import { readMeasures, toScores } from "./measures.js";
import { type CheckedSweepOptions, type SweepOptions, sweepOptions } from "./options.js";
import type { SweepResult } from "./result.js";
import { type Swept, toVariants } from "./variants.js";

/**
 * The time to score a row in float32, with weights that are read from files, as a multiple of scoring it once. For
 * progress.
 */
const float32Cost = 2;
/** The time to measure the divergence on a row in float64, as a multiple of scoring it once. For progress. */
const float64Cost = 8;

/**
 * Measures the model without a bypass and with each bypass of a sweep. One forward pass computes all variants: up to
 * the first block where they differ, they share one residual stream.
 */
export async function sweep<Metric extends MemorizationMetric = DefaultMemorizationMetric>(
  session: Session,
  options: SweepOptions<Metric>,
): Promise<SweepResult<Metric>> {
  const began = performance.now();
  const checked = validate(sweepOptions, options, "options");
  const { signal, compareRows, temperature, topK = 0 } = checked;
  const variants = toVariants(checked as CheckedSweepOptions & Swept, session.config);
  const plans = [plainPlan(session.config), ...variants.map(({ plan }) => plan)];
  const measures = await readMeasures(session, checked);
  const others = [...measures.windows, ...measures.tasks.flatMap((task) => task.rows)];
  const rows = [...measures.samples, ...measures.control, ...others];
  const surveyed = [...measures.samples, ...others].slice(0, checked.survey);
  const settings = await describeSettings(session, checked, measures, surveyed);
  // The survey is not part of the resume file, since it takes little time compared with the rest.
  const { survey: _, ...resumable } = settings;
  signal?.throwIfAborted();

  const memory = { requested: checked.memory, default: defaultMemory(session) };
  const file =
    checked.resume === undefined
      ? undefined
      : await FinishedRows.open(checked.resume, { ...resumable }, memory, { rows: rows.length, plans: plans.length });
  const budget = file?.memory ?? memory.requested ?? memory.default;
  const scheme = { temperature, topK };
  const compared = session.dtype === "float32" ? 0 : (compareRows ?? Math.ceil(rows.length / 64));
  const sampling = samplingWork(rows, checked.continuations);
  const work = rows.length + sampling + float32Cost * compared + float64Cost * surveyed.length;
  const scoreEnd = rows.length / work;
  const sampleEnd = (rows.length + sampling) / work;
  const compareEnd = sampleEnd + (float32Cost * compared) / work;
  const operation = rising(checked);
  const before = file?.seconds ?? 0;
  let operations = file?.operations ?? 0;
  const onOperations = (count: number) => {
    operations += count;
  };
  let last = began;
  const secondsSinceLast = () => {
    const from = last;
    last = performance.now();
    return (last - from) / 1000;
  };
  try {
    const scored = await scoreRows(session, rows, plans, {
      ...part(operation, 0, scoreEnd),
      scheme,
      memory: budget,
      known: file?.scores,
      onOperations,
      onRows: async (indices, done, cost) => {
        await file?.add(indices, done, { operations: cost, seconds: secondsSinceLast() });
      },
    });
    const scores = await addSampledMatches(session, rows, plans, scored, {
      ...checked,
      ...part(operation, scoreEnd, sampleEnd),
      scheme,
      memory: budget,
      known: file?.sampled,
      onRows: async (indices, shares) => {
        await file?.addSampled(indices, shares, secondsSinceLast());
      },
    });
    const precision =
      compared === 0
        ? undefined
        : await compareWithFloat32(session, rows, plans, scores, {
            ...part(operation, sampleEnd, compareEnd),
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
        checked.epsilon,
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
