import * as v from "valibot";
import { AttentionBypassError } from "./errors.js";
import type { SweepResult } from "./sweep.js";

/** JSON has no number for what is not finite. */
const number = v.pipe(
  v.nullable(v.number()),
  v.transform((value) => value ?? Number.NaN),
);

const scores = {
  memorization: v.optional(
    v.looseObject({ perRow: v.pipe(v.array(v.record(v.string(), number)), v.minLength(1, "at least one row")) }),
  ),
  perplexity: v.optional(v.looseObject({ perplexity: number })),
  tasks: v.optional(
    v.record(
      v.string(),
      v.looseObject({
        accuracy: number,
        standardErrors: v.looseObject({ accuracy: number }),
        perQuestion: v.pipe(
          v.array(v.looseObject({ correct: v.boolean(), logLikelihoods: v.array(number), chosen: v.optional(number) })),
          v.minLength(1, "at least one question"),
        ),
      }),
    ),
  ),
};

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
  output: v.object({ divergence: number, bound: number, changed: number, certain: number }),
});

const schema = v.looseObject({
  base: v.looseObject(scores),
  variants: v.array(
    v.looseObject({
      name: v.string(),
      blocks: v.array(v.number()),
      heads: v.optional(v.record(v.string(), v.array(v.number()))),
      mode: v.picklist(["zero", "short-circuit", "mean"]),
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

/** What a variant has measured must be what the base has. */
function sameMeasures({ base, variants }: v.InferOutput<typeof schema>): boolean {
  const lengths = ({ memorization, tasks = {} }: typeof base) =>
    JSON.stringify([
      memorization?.perRow.length,
      ...Object.entries(tasks).map(([name, { perQuestion }]) => [name, perQuestion.length]),
    ]);
  return variants.every((variant) => lengths(variant) === lengths(base));
}

/** A sweep's result that comes from outside, such as from a file; `name` is what messages call it. Throws
 * SWEEP_INVALID. */
export function checkSweep(value: unknown, name = "the sweep"): SweepResult {
  const parsed = v.safeParse(schema, value);
  const wrong = (place: string) =>
    new AttentionBypassError(
      "SWEEP_INVALID",
      `expected the result of a sweep for ${name} but ${place} is not as there`,
    );
  if (!parsed.success) throw wrong(v.getDotPath(parsed.issues[0]) ?? "it");
  if (!sameMeasures(parsed.output)) throw wrong("the number of rows or questions of a variant");
  // The settings go on as they came.
  return { ...parsed.output, settings: (value as SweepResult).settings } as unknown as SweepResult;
}
