import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { placeOfNonFinite } from "../errors/finite.js";
import { problemOf, reading } from "../errors/validation.js";
import { variantFields } from "../sweep/variants.js";
import type { EffectsResult } from "./result.js";

const interval = v.object({ value: v.number(), low: v.number(), high: v.number() });

const effect = {
  total: interval,
  direct: interval,
  directFrozen: interval,
  compensation: interval,
  compensationFrozen: interval,
};

const rowEffect = v.object({ total: v.number(), direct: v.number(), directFrozen: v.number() });

/** The fields that a report shows. */
const schema = v.object({
  rows: v.number(),
  base: v.object({ logLikelihood: interval, logit: interval }),
  bypasses: v.pipe(
    v.array(
      v.object({
        ...variantFields,
        logLikelihood: v.object(effect),
        logit: v.object({ ...effect, norm: interval }),
        changes: v.array(
          v.object({
            block: v.number(),
            part: v.picklist(["attention", "mlp"]),
            bypassed: v.boolean(),
            change: interval,
            changeFrozen: interval,
          }),
        ),
        perRow: v.pipe(
          v.array(v.object({ logLikelihood: rowEffect, logit: rowEffect })),
          v.minLength(1, "at least one row"),
        ),
      }),
    ),
    v.minLength(1, "at least one bypass"),
  ),
  settings: v.looseObject({
    model: v.looseObject({
      config: v.looseObject({
        family: v.string(),
        blockCount: v.number(),
        headCount: v.number(),
        hiddenSize: v.number(),
      }),
    }),
    device: v.string(),
    dtype: v.string(),
  }),
});

/**
 * Checks and returns a result of `model.effects` that comes from outside, such as from a file. Throws
 * INVALID_ARGUMENT.
 */
export function checkEffects(value: unknown): EffectsResult {
  const invalid = (problem: string) =>
    new AttentionBypassError("INVALID_ARGUMENT", `expected the result of model.effects for result but ${problem}`);
  const parsed = reading("result", () => v.safeParse(schema, value, { abortEarly: true }));
  if (!parsed.success) throw invalid(problemOf(parsed.issues[0]));
  const { base, bypasses } = parsed.output;
  const place = reading("result", () => placeOfNonFinite({ base, bypasses }));
  if (place !== undefined) throw invalid(`${place} is null, NaN or infinite`);
  // The settings are returned unchanged, with fields that the schema does not have.
  return { ...parsed.output, settings: (value as EffectsResult).settings } as unknown as EffectsResult;
}
