import * as v from "valibot";
import { Bootstrap, type Interval, type Table } from "./bootstrap.js";
import { AttentionBypassError } from "./errors.js";
import { requireFinite } from "./finite.js";
import { recommendationText } from "./result-text.js";
import { mean } from "./statistics.js";
import type { AnySweepResult } from "./sweep.js";
import { requireFiniteSweep } from "./sweep-result.js";
import { type Variant, variantFields } from "./sweep-variants.js";
import { withText } from "./text-form.js";
import { placeOf, reading, share, validate } from "./validation.js";

/** Options of `recommend`. */
export interface RecommendOptions {
  /** How many points (hundredths) of accuracy, a mean over the sweep's tasks, may be lost. Defaults to 1. */
  tolerance?: number;
  /** By how many percent perplexity may rise. Applies to sweeps that measured perplexity. Defaults to 5. */
  perplexityTolerance?: number;
}

/** What is left of memorization and ability under one bypass of a sweep. */
export interface Candidate extends Variant {
  /** Share of the samples whose suffix greedy generation gives: `exactMatch`. */
  memorization: Interval;
  /** By how much that is below the unmodified model's, sample by sample. */
  removed: Interval;
  /** Mean over the tasks of their accuracy. */
  ability: Interval;
  /** By how many points of accuracy that is below the unmodified model's, question by question. */
  loss: Interval;
  /** Perplexity, if the sweep measured it. */
  perplexity?: number;
  /** By how many percent perplexity is above the unmodified model's. A sweep has no interval for it. */
  perplexityIncrease?: number;
}

/** Why a recommended bypass is not certain:
 * - "removal-interval": the interval of what it removes includes 0.
 * - "loss-interval": the interval of its loss includes losses above the tolerance.
 * - "few-questions": the sweep has too few questions to exclude a loss above the tolerance even if no answer changes.
 * - "no-perplexity": the sweep did not measure perplexity. */
export type Doubt = "removal-interval" | "loss-interval" | "few-questions" | "no-perplexity";

/** Which bypass to take, which others are on the Pareto front, and what this rests on. */
export interface Recommendation {
  /** The unmodified model. */
  base: {
    /** As a candidate's. */
    memorization: Interval;
    /** As a candidate's. */
    ability: Interval;
    /** As a candidate's. */
    perplexity?: number;
  };
  /** The bypasses on the Pareto front of memorization, ability and, if measured, perplexity: no other bypass, nor the
   * unmodified model, is at least as good in all and better in one. The least memorization first. */
  front: Candidate[];
  /** What the sweep shows:
   * - "bypass": `best` is the bypass to take.
   * - "none-within-tolerance": every bypass that removes memorization costs more than the tolerances.
   * - "nothing-memorized": the unmodified model's exact match is not above 0 at 95 %, so there is nothing to remove.
   * - "too-few-samples": fewer than 10 samples do not show what the model has memorized. */
  verdict: "bypass" | "none-within-tolerance" | "nothing-memorized" | "too-few-samples";
  /** The bypass that leaves the least memorization within the tolerances. Absent for every other verdict. */
  best?: Candidate;
  /** Whether `best` is certain at 95 % on these samples and tasks: true if there are no `doubts`. */
  certain: boolean;
  /** Why `best` is not certain. */
  doubts: Doubt[];
  /** What the recommendation rests on. */
  basis: {
    /** The number of samples. */
    samples: number;
    /** The number of tasks. */
    tasks: number;
    /** The number of questions of all tasks. */
    questions: number;
    /** The number of tokens that perplexity was measured on. Absent if it was not measured. */
    tokens?: number;
    /** The loss in points of accuracy that this many questions cannot exclude at 95 % even if no answer changes. */
    undetectedLoss: number;
  };
  /** How many points of accuracy may be lost, as it was asked for. */
  tolerance: number;
  /** By how many percent perplexity may rise, as it was asked for. */
  perplexityTolerance: number;
}

/** With fewer samples the bootstrap's interval is far too narrow: of 10 that all match, the exact one begins at 69 %. */
const fewestSamples = 10;

const tolerance = (unit: string, standard: number) =>
  v.optional(
    v.pipe(
      v.number(),
      v.check((value: number) => Number.isFinite(value) && value >= 0, `a number of ${unit}, 0 or more,`),
    ),
    standard,
  );

const schema = v.strictObject({
  tolerance: tolerance("points", 1),
  perplexityTolerance: tolerance("percent", 5),
});

const finite = v.pipe(v.number(), v.finite());

const scores = v.object({
  memorization: v.object({ perRow: v.pipe(v.array(v.object({ exactMatch: share })), v.minLength(1)) }),
  perplexity: v.optional(v.object({ perplexity: v.pipe(finite, v.minValue(1)), tokenCount: finite })),
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
      ...variantFields,
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
const difference = over(([before, after]) => (before as number) - (after as number));

interface Measured {
  memorization: Interval;
  ability: Interval;
  perplexity?: number;
}

function measure(result: Scores, bootstrap: Bootstrap): Measured {
  const first = over(([value]) => value as number);
  return {
    memorization: bootstrap.interval([[matches(result)]], first),
    ability: bootstrap.interval(
      answers(result).map((column): Table => [column]),
      first,
    ),
    ...(result.perplexity && { perplexity: result.perplexity.perplexity }),
  };
}

function beats(one: Measured, other: Measured): boolean {
  // Less is better.
  const scales = ({ memorization, ability, perplexity = 0 }: Measured) => [
    memorization.value,
    -ability.value,
    perplexity,
  ];
  const [ours, theirs] = [scales(one), scales(other)];
  const every = ours.every((value, index) => value <= (theirs[index] as number));
  return every && ours.some((value, index) => value < (theirs[index] as number));
}

/**
 * The loss, in points, that the questions cannot exclude even if no answer changes: by the binomial distribution a loss of
 * p leaves n questions unchanged with probability (1 - p)^n. The tasks count alike, so each counts as its smallest.
 */
function undetectedLoss(columns: readonly (readonly number[])[]): number {
  const fewest = columns.reduce((least, { length }) => Math.min(least, length), Number.POSITIVE_INFINITY);
  return 100 * (1 - 0.025 ** (1 / (columns.length * fewest)));
}

/** Throws SWEEP_INVALID. */
function read(sweep: AnySweepResult): v.InferOutput<typeof sweepFields> {
  const wrong = (place: string) =>
    new AttentionBypassError(
      "SWEEP_INVALID",
      `expected the result of a sweep over samples, with the metric exactMatch, and tasks but ${place} is not as there; ` +
        "measure with --samples and --tasks or --task (samples and tasks of model.sweep)",
    );
  const parsed = reading("the sweep", () => v.safeParse(sweepFields, sweep, { abortEarly: true }));
  if (!parsed.success) throw wrong(placeOf(parsed.issues[0]) ?? "it");
  const { base, variants } = parsed.output;
  const measures = ({ memorization, perplexity, tasks }: Scores) =>
    JSON.stringify([
      memorization.perRow.length,
      perplexity !== undefined,
      ...Object.entries(tasks).map(([name, { perQuestion }]) => [name, perQuestion.length]),
    ]);
  const other = variants.findIndex((variant) => measures(variant) !== measures(base));
  if (other >= 0) throw wrong(`the number of rows, questions or texts of variants[${other}]`);
  return parsed.output;
}

/**
 * Recommends a bypass from the result of a sweep over samples and tasks: the one that leaves the least memorization
 * within the tolerances for accuracy and perplexity. Intervals are 95 %, by bootstrap over rows and questions. Throws
 * INVALID_ARGUMENT, SWEEP_INVALID.
 */
export function recommend(sweep: AnySweepResult, options: RecommendOptions = {}): Recommendation {
  const { tolerance, perplexityTolerance } = validate(schema, options, "options");
  requireFiniteSweep(sweep);
  const { base, variants } = read(sweep);
  const bootstrap = new Bootstrap();
  const unmodified = measure(base, bootstrap);
  const candidates = variants.map((variant): Candidate => {
    const { memorization: _, perplexity, tasks: __, ...of } = variant;
    const ours = answers(variant);
    const pairs = answers(base).map((column, index): Table => [column, ours[index] as number[]]);
    return {
      ...of,
      ...measure(variant, bootstrap),
      removed: bootstrap.interval([[matches(base), matches(variant)]], difference),
      loss: bootstrap.interval(pairs, (means) => 100 * difference(means)),
      ...(perplexity &&
        base.perplexity && {
          perplexityIncrease: 100 * (perplexity.perplexity / base.perplexity.perplexity - 1),
        }),
    };
  });
  const front = candidates
    .filter((one) => ![...candidates, unmodified].some((other) => beats(other, one)))
    .sort((a, b) => a.memorization.value - b.memorization.value);
  const basis = {
    samples: base.memorization.perRow.length,
    tasks: answers(base).length,
    questions: answers(base).flat().length,
    ...(base.perplexity && { tokens: base.perplexity.tokenCount }),
    undetectedLoss: undetectedLoss(answers(base)),
  };
  const within = ({ removed, loss, perplexityIncrease = 0 }: Candidate) =>
    removed.value > 0 && loss.value <= tolerance && perplexityIncrease <= perplexityTolerance;
  const choice = front.find(within);
  const verdict =
    basis.samples < fewestSamples
      ? "too-few-samples"
      : unmodified.memorization.low <= 0
        ? "nothing-memorized"
        : choice === undefined
          ? "none-within-tolerance"
          : "bypass";
  const best = verdict === "bypass" ? choice : undefined;
  const doubtful: [Doubt, boolean][] = best
    ? [
        ["removal-interval", best.removed.low <= 0],
        ["loss-interval", best.loss.high > tolerance],
        ["few-questions", basis.undetectedLoss > tolerance],
        ["no-perplexity", base.perplexity === undefined],
      ]
    : [];
  const doubts = doubtful.filter(([, holds]) => holds).map(([doubt]) => doubt);
  const recommendation: Recommendation = {
    base: unmodified,
    front,
    verdict,
    ...(best && { best }),
    certain: best !== undefined && doubts.length === 0,
    doubts,
    basis,
    tolerance,
    perplexityTolerance,
  };
  return withText(requireFinite(recommendation, "the recommendation"), recommendationText);
}
