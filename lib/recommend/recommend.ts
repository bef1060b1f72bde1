import * as v from "valibot";
import { withText } from "../display/text-form.js";
import { AttentionBypassError } from "../errors/errors.js";
import { requireFinite } from "../errors/finite.js";
import { problemOf, reading, share, validate } from "../errors/validation.js";
import { Bootstrap, type Interval, type Table } from "../statistics/bootstrap.js";
import { mean } from "../statistics/statistics.js";
import { requireFiniteSweep } from "../sweep/check-result.js";
import type { AnySweepResult } from "../sweep/result.js";
import { variantFields } from "../sweep/variants.js";
import type { Candidate, Doubt, Recommendation } from "./recommendation.js";
import { recommendationText } from "./text.js";

/** Options of `recommend`. */
export interface RecommendOptions {
  /** The largest acceptable loss of accuracy in percentage points, a mean over the sweep's tasks. Defaults to 1. */
  tolerance?: number;
  /**
   * The largest acceptable increase of perplexity in percent. Ignored if the sweep did not measure perplexity. Defaults
   * to 5.
   */
  perplexityTolerance?: number;
}

/**
 * With fewer samples the bootstrap interval is far too narrow. Example: if all of 10 samples match, the exact interval
 * begins at 69 %, but the bootstrap interval at 100 %.
 */
const minSamples = 10;

const tolerance = (expected: string, standard: number) =>
  v.optional(
    v.pipe(
      v.number(),
      v.check((value: number) => Number.isFinite(value) && value >= 0, expected),
    ),
    standard,
  );

const schema = v.strictObject({
  tolerance: tolerance("a number of points from 0 up", 1),
  perplexityTolerance: tolerance("a percentage from 0 up", 5),
});

const finite = v.pipe(v.number(), v.finite());

const scores = v.object({
  memorization: v.object({
    perRow: v.pipe(v.array(v.object({ exactMatch: share })), v.minLength(1, "at least one row")),
  }),
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

type Scores = v.InferOutput<typeof scores>;

const matches = ({ memorization }: Scores) => memorization.perRow.map(({ exactMatch }) => exactMatch);
const answers = ({ tasks }: Scores) =>
  Object.values(tasks).map(({ perQuestion }) => perQuestion.map(({ correct }) => Number(correct)));
/** Returns a function that computes a value from the means of each table, and the mean of these values over tables. */
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
  // For each of these, less is better.
  const scales = ({ memorization, ability, perplexity = 0 }: Measured) => [
    memorization.value,
    -ability.value,
    perplexity,
  ];
  const [ours, theirs] = [scales(one), scales(other)];
  const noneWorse = ours.every((value, index) => value <= (theirs[index] as number));
  return noneWorse && ours.some((value, index) => value < (theirs[index] as number));
}

/**
 * Returns the loss, in points, that this many questions cannot exclude at 95 % even if no answer changes. By the
 * binomial distribution, a loss of p leaves n questions unchanged with probability (1 - p)^n. Tasks have equal weight,
 * so each counts with the number of questions of the smallest task.
 */
function undetectedLoss(columns: readonly (readonly number[])[]): number {
  const fewest = columns.reduce((least, { length }) => Math.min(least, length), Number.POSITIVE_INFINITY);
  return 100 * (1 - 0.025 ** (1 / (columns.length * fewest)));
}

/** Returns the fields of the sweep that a recommendation uses. Throws SWEEP_INVALID. */
function read(sweep: AnySweepResult): v.InferOutput<typeof sweepFields> {
  const invalid = (problem: string) =>
    new AttentionBypassError(
      "SWEEP_INVALID",
      `expected the result of a sweep over samples, with the metric exactMatch, and tasks but ${problem}; ` +
        "run the sweep with --samples and --tasks or --task (samples and tasks of model.sweep)",
    );
  const parsed = reading("the sweep", () => v.safeParse(sweepFields, sweep, { abortEarly: true }));
  if (!parsed.success) throw invalid(problemOf(parsed.issues[0]));
  const { base, variants } = parsed.output;
  const measures = ({ memorization, perplexity, tasks }: Scores) =>
    JSON.stringify([
      memorization.perRow.length,
      perplexity !== undefined,
      ...Object.entries(tasks).map(([name, { perQuestion }]) => [name, perQuestion.length]),
    ]);
  const different = variants.findIndex((variant) => measures(variant) !== measures(base));
  if (different >= 0)
    throw invalid(`variants[${different}] has another number of rows, questions or texts than the base`);
  return parsed.output;
}

/**
 * Recommends a bypass from the result of a sweep over samples and tasks: of the bypasses within the tolerances for
 * accuracy and perplexity, the one that leaves the least memorization. Intervals are 95 %, by bootstrap over rows and
 * questions. Throws INVALID_ARGUMENT, SWEEP_INVALID.
 */
export function recommend(sweep: AnySweepResult, options: RecommendOptions = {}): Recommendation {
  const { tolerance, perplexityTolerance } = validate(schema, options, "options");
  requireFiniteSweep(sweep);
  const { base, variants } = read(sweep);
  const bootstrap = new Bootstrap();
  const unmodified = measure(base, bootstrap);
  const candidates = variants.map((variant): Candidate => {
    const { memorization: _, perplexity, tasks: __, ...bypass } = variant;
    const bypassed = answers(variant);
    const pairs = answers(base).map((column, index): Table => [column, bypassed[index] as number[]]);
    return {
      ...bypass,
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
    basis.samples < minSamples
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
