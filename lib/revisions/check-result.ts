import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { problemOf, reading } from "../errors/validation.js";
import { checkSweep } from "../sweep/check-result.js";
import { measuredRevisions, type RevisionsResult, revisionsFormat } from "./result.js";
import { requireSameSweep } from "./same-sweep.js";

const revision = v.looseObject({
  name: v.string(),
  step: v.optional(v.number()),
  commit: v.optional(v.string()),
  weights: v.array(v.looseObject({ path: v.string(), size: v.number(), hash: v.string() })),
  sameWeightsAs: v.optional(v.string()),
  sweep: v.optional(v.unknown()),
});

const schema = v.looseObject({
  format: v.literal(revisionsFormat, `"${revisionsFormat}"`),
  model: v.string(),
  revisions: v.array(revision),
});

/** Returns whether a value looks like the result of `sweepRevisions`, rather than that of one sweep. */
export function isRevisions(value: unknown): boolean {
  return reading("the result", () => typeof value === "object" && value !== null && "revisions" in value);
}

/** Checks and returns a result of `sweepRevisions` that comes from outside, such as from a file. Throws SWEEP_INVALID. */
export function checkRevisions(value: unknown, name = "the result"): RevisionsResult {
  const invalid = (problem: string) =>
    new AttentionBypassError("SWEEP_INVALID", `expected the result of sweepRevisions for ${name} but ${problem}`);
  const parsed = reading(name, () => v.safeParse(schema, value, { abortEarly: true }));
  if (!parsed.success) throw invalid(problemOf(parsed.issues[0]));
  const revisions = parsed.output.revisions.map((one) => {
    if (one.sweep === undefined) return one;
    return { ...one, sweep: checkSweep(one.sweep, `${one.name} of ${name}`) };
  });
  const result = { ...parsed.output, revisions } as unknown as RevisionsResult;
  const measured = measuredRevisions(result);
  const [first, ...others] = measured;
  if (first === undefined) throw invalid("no revision has a sweep");
  for (const other of others) requireSameSweep(first, other);
  const names = new Set(measured.map((one) => one.name));
  for (const { name, sweep, sameWeightsAs } of result.revisions) {
    if (sweep !== undefined || (sameWeightsAs !== undefined && names.has(sameWeightsAs))) continue;
    throw invalid(`${name} has neither a sweep nor the name of a measured revision with the same weights`);
  }
  return result;
}
