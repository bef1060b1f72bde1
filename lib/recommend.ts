import * as v from "valibot";
import { Bootstrap, type Interval, type Table } from "./bootstrap.js";
import { AttentionBypassError } from "./errors.js";
import { recommendationText } from "./result-text.js";
import { mean } from "./statistics.js";
import type { AnySweepResult } from "./sweep.js";
import { requireFiniteSweep } from "./sweep-result.js";
import type { Variant } from "./sweep-variants.js";
import { withText } from "./text-form.js";
import { reading, validate } from "./validation.js";

/** Options of `recommend`. */
export interface RecommendOptions {
  /** How many points (hundredths) of accuracy, a mean over the sweep's tasks, may be lost. Defaults to 1. */
  tolerance?: number;
}

/** What is left of memorization and ability under one bypass of a sweep. */
export interface Candidate extends Variant {
  /** Share of the samples whose suffix greedy generation gives: `exactMatch`. */
  memorization: Interval;
  /** Mean over the tasks of their accuracy. */
  ability: Interval;
  /** By how many points of accuracy that is below the unmodified model's, question by question. */
  loss: Interval;
}

/** Which bypass to take, and which others stand to choice. */
export interface Recommendation {
  /** The unmodified model. */
  base: {
    /** As a candidate's. */
    memorization: Interval;
    /** As a candidate's. */
    ability: Interval;
  };
  /** The bypasses that no other one beats in both, nor equals in one and beats in the other; the least memorization
   * first. The unmodified model counts as one that may beat them. */
  front: Candidate[];
  /** The one of least memorization whose loss is within the tolerance; not there where no bypass is. */
  best?: Candidate;
  /** Whether the interval of its loss is within the tolerance too. */
  certain: boolean;
  /** How many points of accuracy may be lost, as it was asked for. */
  tolerance: number;
}

const schema = v.strictObject({
  tolerance: v.optional(
    v.pipe(
      v.number(),
      v.check((value: number) => value >= 0, "a number of points, 0 or more,"),
    ),
    1,
  ),
});

const scores = v.object({
  memorization: v.object({ perRow: v.pipe(v.array(v.object({ exactMatch: v.number() })), v.minLength(1)) }),
  tasks: v.pipe(
    v.record(
      v.string(),
      v.object({ perQuestion: v.pipe(v.array(v.object({ correct: v.boolean() })), v.minLength(1)) }),
    ),
    v.check((tasks) => Object.keys(tasks).length > 0),
  ),
});

const sweepFields = v.object({
  base: scores,
  variants: v.array(
    v.object({
      name: v.string(),
      blocks: v.array(v.number()),
      heads: v.optional(v.record(v.string(), v.array(v.number()))),
      mode: v.picklist(["zero", "short-circuit", "mean"]),
      ...scores.entries,
    }),
  ),
});

type Scores = v.InferOutput<typeof scores>;

const matches = ({ memorization }: Scores) => memorization.perRow.map(({ exactMatch }) => exactMatch);
const answers = ({ tasks }: Scores) =>
  Object.values(tasks).map(({ perQuestion }) => perQuestion.map(({ correct }) => Number(correct)));
/** The mean over tables of what is made of each one's means. */
const over = (of: (means: number[]) => number) => (means: number[][]) => mean(means.map(of));

function measure(result: Scores, bootstrap: Bootstrap): { memorization: Interval; ability: Interval } {
  const first = over(([value]) => value as number);
  return {
    memorization: bootstrap.interval([[matches(result)]], first),
    ability: bootstrap.interval(
      answers(result).map((column): Table => [column]),
      first,
    ),
  };
}

function beats(one: { memorization: Interval; ability: Interval }, other: typeof one): boolean {
  const [less, more] = [one.memorization.value, other.memorization.value];
  const [abler, ableLess] = [one.ability.value, other.ability.value];
  return less <= more && abler >= ableLess && (less < more || abler > ableLess);
}

/**
 * What a sweep over samples and tasks recommends: the bypasses on the Pareto front of memorization against ability, and
 * the one to take. Intervals are 95 %, by bootstrap over rows and questions. Throws INVALID_ARGUMENT, SWEEP_INVALID.
 */
export function recommend(sweep: AnySweepResult, options: RecommendOptions = {}): Recommendation {
  const { tolerance } = validate(schema, options, "options");
  requireFiniteSweep(sweep);
  const parsed = reading("the sweep", () => v.safeParse(sweepFields, sweep, { abortEarly: true }));
  if (!parsed.success) {
    const place = v.getDotPath(parsed.issues[0]) ?? "it";
    throw new AttentionBypassError(
      "SWEEP_INVALID",
      `expected the result of a sweep over samples, with the metric exactMatch, and tasks but ${place} is not as there`,
    );
  }
  const { base, variants } = parsed.output;
  const bootstrap = new Bootstrap();
  const unmodified = measure(base, bootstrap);
  const candidates = variants.map((variant): Candidate => {
    const { memorization: _, tasks: __, heads, ...of } = variant;
    const ours = answers(variant);
    const pairs = answers(base).map((column, index): Table => [column, ours[index] as number[]]);
    const loss = bootstrap.interval(
      pairs,
      over(([before, after]) => 100 * ((before as number) - (after as number))),
    );
    return { ...of, ...(heads && { heads }), ...measure(variant, bootstrap), loss };
  });
  const front = candidates
    .filter((one) => ![...candidates, unmodified].some((other) => beats(other, one)))
    .sort((a, b) => a.memorization.value - b.memorization.value);
  const best = front.find(({ loss }) => loss.value <= tolerance);
  const recommendation: Recommendation = {
    base: unmodified,
    front,
    ...(best && { best }),
    certain: best !== undefined && best.loss.high <= tolerance,
    tolerance,
  };
  return withText(recommendation, recommendationText);
}
