import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { placeOfNonFinite } from "../errors/finite.js";
import { problemOf, reading, share } from "../errors/validation.js";
import type { SweepResult } from "./result.js";
import { variantFields } from "./variants.js";

const number = v.number();
/** The metrics of a row that are shares from 0 to 1. The others are in nats or counts. */
const shares = ["exactMatch", "tokenAccuracy", "teacherForcedAccuracy", "extractionProbability"];

const rowValues = v.pipe(
  v.record(v.string(), number),
  v.check(
    (row) => shares.every((name) => row[name] === undefined || (row[name] >= 0 && row[name] <= 1)),
    "shares from 0 to 1",
  ),
);

const rowsScores = v.optional(
  v.looseObject({ perRow: v.pipe(v.array(rowValues), v.minLength(1, "at least one row")) }),
);

const scores = {
  memorization: rowsScores,
  control: rowsScores,
  perplexity: v.optional(v.looseObject({ perplexity: v.pipe(number, v.minValue(1, "a number from 1 up")) })),
  tasks: v.optional(
    v.record(
      v.string(),
      v.looseObject({
        accuracy: share,
        standardErrors: v.looseObject({ accuracy: v.optional(number) }),
        perQuestion: v.pipe(
          v.array(v.looseObject({ correct: v.boolean(), logLikelihoods: v.array(number), chosen: v.optional(number) })),
          v.minLength(1, "at least one question"),
        ),
      }),
    ),
  ),
};

const controlSize = v.looseObject({
  rows: v.pipe(number, v.minValue(1, "a number from 1 up")),
  suffixTokens: v.pipe(number, v.minValue(1, "a number from 1 up")),
});

const attention = v.array(v.object({ share: number, heads: v.array(number) }));

const divergence = v.object({
  blocks: v.array(
    v.object({
      block: v.number(),
      distance: number,
      bound: number,
      attention: v.optional(v.object({ contribution: number, bound: number })),
    }),
  ),
  output: v.object({ divergence: number, bound: number, topTokenChanged: number, topTokenProvenUnchanged: number }),
});

const schema = v.looseObject({
  base: v.looseObject(scores),
  variants: v.array(
    v.looseObject({
      ...variantFields,
      ...scores,
      divergence: v.optional(divergence),
    }),
  ),
  attention: v.optional(attention),
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
    tasks: v.optional(v.array(v.looseObject({ name: v.string(), group: v.optional(v.string()) }))),
  }),
  cost: v.optional(v.looseObject({ seconds: v.number() })),
});

/** Returns whether each variant has as many rows and questions as the base. */
function sameMeasures({ base, variants }: v.InferOutput<typeof schema>): boolean {
  const lengths = ({ memorization, control, tasks = {} }: typeof base) =>
    JSON.stringify([
      memorization?.perRow.length,
      control?.perRow.length,
      ...Object.entries(tasks).map(([name, { perQuestion }]) => [name, perQuestion.length]),
    ]);
  return variants.every((variant) => lengths(variant) === lengths(base));
}

/** Checks that a sweep's result contains only finite numbers. JSON writes others as null. Throws SWEEP_INVALID. */
export function requireFiniteSweep(value: unknown, name = "the sweep"): void {
  const place = reading(name, () => {
    if (typeof value !== "object" || value === null) return undefined;
    const { base, variants, attention, precision } = value as Partial<SweepResult>;
    return placeOfNonFinite({ base, variants, attention, precision });
  });
  if (place === undefined) return;
  throw new AttentionBypassError(
    "SWEEP_INVALID",
    `expected finite numbers for ${name} but ${place} is null, NaN or infinite; run the sweep again with this version`,
  );
}

/**
 * Checks and returns a sweep's result that comes from outside, such as from a file. `name` is used in error messages.
 * Throws SWEEP_INVALID.
 */
export function checkSweep(value: unknown, name = "the sweep"): SweepResult {
  requireFiniteSweep(value, name);
  const parsed = reading(name, () => v.safeParse(schema, value, { abortEarly: true }));
  const invalid = (problem: string) =>
    new AttentionBypassError("SWEEP_INVALID", `expected the result of a sweep for ${name} but ${problem}`);
  if (!parsed.success) throw invalid(problemOf(parsed.issues[0]));
  if (!sameMeasures(parsed.output)) throw invalid("a variant has another number of rows or questions than the base");
  const { base, settings } = parsed.output;
  if (base.control) {
    if (!base.memorization) throw invalid("it has control rows without samples");
    const sizes = v.safeParse(v.looseObject({ samples: controlSize, control: controlSize }), settings);
    if (!sizes.success) throw invalid(`in settings, ${problemOf(sizes.issues[0])}`);
  }
  // The settings are returned unchanged, with fields that the schema does not have.
  return { ...parsed.output, settings: (value as SweepResult).settings } as unknown as SweepResult;
}
