import { plainPlan } from "../bypass/bypass.js";
import { validate } from "../errors/validation.js";
import { type SurveyedBypass, survey } from "../measure/survey.js";
import type { MemorizationMetric } from "../metrics/memorization.js";
import { part } from "../operation/operation.js";
import { Progress } from "../operation/progress.js";
import { compareWithFloat32 } from "../scoring/precision.js";
import { scoreRows } from "../scoring/rescoring.js";
import type { RowScores } from "../scoring/scoring.js";
import { defaultMemory } from "../session/memory-budget.js";
import type { Session } from "../session/session.js";
import { describeSettings } from "./describe-settings.js";
import { readMeasures, toScores } from "./measures.js";
import { type CheckedSweepOptions, type SweepOptions, sweepOptions } from "./options.js";
import type { SweepResult } from "./result.js";
import { Checkpoint } from "./resume-file.js";
import { type SweptBlocks, toVariants } from "./variants.js";

/**
 * Measures the model with no bypass and with each of many, all in one walk through its blocks: up to the block where a
 * variant first differs it is the unmodified model, and is computed once for all.
 */
export async function sweep<Metric extends MemorizationMetric = MemorizationMetric>(
  session: Session,
  options: SweepOptions<Metric>,
): Promise<SweepResult<Metric>> {
  const began = performance.now();
  const checked = validate(sweepOptions, options, "options");
  const { over, part: parts, mode: modes, means } = checked as CheckedSweepOptions & { over: SweptBlocks };
  const variants = toVariants(over, { parts, modes, means }, session.config);
  const plans = [plainPlan(session.config), ...variants.map(({ plan }) => plan)];
  const measures = await readMeasures(session, checked);
  const rows = [...measures.samples, ...measures.windows, ...measures.tasks.flatMap((task) => task.rows)];
  // Samples come first of all.
  const surveyed = rows.slice(0, checked.survey);
  const settings = await describeSettings(session, checked, measures, surveyed);
  // A survey is quick next to the rest, and made anew.
  const { survey: _, ...resumable } = settings;
  checked.signal?.throwIfAborted();

  const memory = { asked: checked.memory, standard: defaultMemory(session) };
  const checkpoint =
    checked.resume === undefined
      ? undefined
      : await Checkpoint.open(checked.resume, { ...resumable }, memory, { rows: rows.length, plans: plans.length });
  const budget = checkpoint?.memory ?? memory.asked ?? memory.standard;
  const scheme = { temperature: checked.temperature, topK: checked.topK ?? 0 };
  const compared = session.dtype === "float32" ? 0 : (checked.compareRows ?? Math.ceil(rows.length / 64));
  // As if float32 took the time of two rows, and float64 twice, with the bypass and without, that of eight.
  const work = rows.length + 2 * compared + 8 * surveyed.length;
  const share = rows.length / work;
  const settled = (rows.length + 2 * compared) / work;
  const before = checkpoint?.seconds ?? 0;
  let operations = checkpoint?.operations ?? 0;
  let last = began;
  try {
    // Where all was done before, nobody else says so.
    if (checkpoint?.done.size === rows.length && checked.onProgress) {
      const progress = new Progress(checked.onProgress);
      progress.report(share);
      await progress.finish();
    }
    const scores = await scoreRows(
      session,
      rows,
      plans,
      {
        ...part(checked, 0, share),
        scheme,
        memory: budget,
        onRows: async (indices, done, cost) => {
          const now = performance.now();
          operations += cost;
          await checkpoint?.add(indices, done, { operations: cost, seconds: (now - last) / 1000 });
          last = now;
        },
      },
      checkpoint?.done,
    );
    const precision =
      compared === 0
        ? undefined
        : await compareWithFloat32(session, rows, plans, scores, {
            ...part(checked, share, settled),
            rows: compared,
            scheme,
            memory: budget,
          });
    const found =
      surveyed.length === 0
        ? undefined
        : await survey(
            session,
            surveyed.map(({ tokens }) => tokens.slice(0, session.config.contextLength)),
            variants.map(({ plan }) => plan),
            part(checked, settled, 1),
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
    await checkpoint?.close();
  }
}
