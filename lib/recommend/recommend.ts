import * as v from "valibot";
import { withText } from "../display/text-form.js";
import { AttentionBypassError } from "../errors/errors.js";
import { requireFinite } from "../errors/finite.js";
import { placeOf, reading, share, validate } from "../errors/validation.js";
import { Bootstrap, type Interval, type Table } from "../statistics/bootstrap.js";
import { mean } from "../statistics/statistics.js";
import { requireFiniteSweep } from "../sweep/check-result.js";
import type { AnySweepResult } from "../sweep/result.js";
import { variantFields } from "../sweep/variants.js";
import type { Candidate, Doubt, Recommendation } from "./recommendation.js";
import { recommendationText } from "./text.js";

/** Options of `recommend`. */
export interface RecommendOptions {
  /** How many points (hundredths) of accuracy, a mean over the sweep's tasks, may be lost. Defaults to 1. */
  tolerance?: number;
  /** By how many percent perplexity may rise. Applies to sweeps that measured perplexity. Defaults to 5. */
  perplexityTolerance?: number;
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
