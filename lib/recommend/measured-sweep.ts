import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { problemOf, reading, share } from "../errors/validation.js";
import type { AnySweepResult } from "../sweep/result.js";
import { variantFields } from "../sweep/variants.js";

const finite = v.pipe(v.number(), v.finite());

const rows = v.object({
  perRow: v.pipe(v.array(v.object({ exactMatch: share })), v.minLength(1, "at least one row")),
});

const scores = v.object({
  memorization: rows,
  control: v.optional(rows),
  perplexity: v.optional(
    v.object({ perplexity: v.pipe(finite, v.minValue(1, "a number from 1 up")), tokenCount: finite }),
  ),
  tasks: v.pipe(
    v.record(
      v.string(),
      v.object({
        perQuestion: v.pipe(v.array(v.object({ correct: v.boolean() })), v.minLength(1, "at least one question")),
      }),
    ),
    v.check((tasks) => Object.keys(tasks).length > 0, "at least one task"),
  ),
});

const sweepFields = v.object({
  base: scores,
  variants: v.array(
    v.object({
      ...variantFields,
      ...scores.entries,
    }),
  ),
});

/** The measurements of a sweep that a recommendation uses. */
export type MeasuredSweep = v.InferOutput<typeof sweepFields>;
export type Scores = v.InferOutput<typeof scores>;

/** Returns 1 for each sample that greedy decoding generates, and 0 for each other one. */
export const matches = ({ memorization }: Scores): number[] => memorization.perRow.map(({ exactMatch }) => exactMatch);

/** Returns the same for the control rows; an empty list if there are none. */
export const controlMatches = ({ control }: Scores): number[] => control?.perRow.map((row) => row.exactMatch) ?? [];

/** Returns for each task 1 for each right answer and 0 for each wrong one. */
export const answers = ({ tasks }: Scores): number[][] =>
  Object.values(tasks).map(({ perQuestion }) => perQuestion.map(({ correct }) => Number(correct)));

/** Returns the fields of the sweep that a recommendation uses. Throws SWEEP_INVALID. */
export function readMeasured(sweep: AnySweepResult): MeasuredSweep {
  const invalid = (problem: string) =>
    new AttentionBypassError(
      "SWEEP_INVALID",
      `expected the result of a sweep over samples, with the metric exactMatch, and tasks but ${problem}; ` +
        "run the sweep with --samples and --tasks or --task (samples and tasks of model.sweep)",
    );
  const parsed = reading("the sweep", () => v.safeParse(sweepFields, sweep, { abortEarly: true }));
  if (!parsed.success) throw invalid(problemOf(parsed.issues[0]));
  const { base, variants } = parsed.output;
  const measures = ({ memorization, control, perplexity, tasks }: Scores) =>
    JSON.stringify([
      memorization.perRow.length,
      control?.perRow.length,
      perplexity !== undefined,
      ...Object.entries(tasks).map(([name, { perQuestion }]) => [name, perQuestion.length]),
    ]);
  const different = variants.findIndex((variant) => measures(variant) !== measures(base));
  if (different >= 0)
    throw invalid(`variants[${different}] has another number of rows, questions or texts than the base`);
  return parsed.output;
}
