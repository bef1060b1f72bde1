import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { problemOf, reading } from "../errors/validation.js";
import { checkSweep } from "../sweep/check-result.js";
import { type PaperResult, paperFormat } from "./result.js";

const text = v.pipe(v.string(), v.nonEmpty("a text that is not empty"));

const schema = v.looseObject({
  format: v.literal(paperFormat, `"${paperFormat}"`),
  models: v.pipe(
    v.array(
      v.looseObject({
        name: text,
        model: text,
        parameters: v.pipe(v.number(), v.integer("a whole number"), v.minValue(1, "a number from 1 up")),
        sweep: v.unknown(),
      }),
    ),
    v.nonEmpty("at least one model"),
    v.check((models) => new Set(models.map(({ name }) => name)).size === models.length, "models with different names"),
  ),
});

/** Returns whether a value looks like the result of `reproducePaper`, rather than that of one sweep. */
export function isPaper(value: unknown): boolean {
  return reading("the result", () => typeof value === "object" && value !== null && "models" in value);
}

/** Checks and returns a result of `reproducePaper` that comes from outside, such as from a file. Throws SWEEP_INVALID. */
export function checkPaper(value: unknown, name = "the result"): PaperResult {
  const invalid = (problem: string) =>
    new AttentionBypassError("SWEEP_INVALID", `expected the result of reproducePaper for ${name} but ${problem}`);
  const parsed = reading(name, () => v.safeParse(schema, value, { abortEarly: true }));
  if (!parsed.success) throw invalid(problemOf(parsed.issues[0]));
  const models = parsed.output.models.map((one) => ({
    ...one,
    sweep: checkSweep(one.sweep, `the model ${one.name} of ${name}`),
  }));
  const tasks = models.map(({ sweep }) => Object.keys(sweep.base.tasks ?? {}).join(", "));
  const other = tasks.findIndex((names) => names !== tasks[0]);
  if (other > 0) throw invalid(`the model ${models[other]?.name} has other tasks than ${models[0]?.name}`);
  for (const { name: model, sweep } of models) {
    if (sweep.base.memorization?.perRow[0]?.exactMatch === undefined) throw invalid(`${model} has no exact match`);
  }
  return { ...parsed.output, models } as unknown as PaperResult;
}
