import * as v from "valibot";
import { withText } from "../display/text-form.js";
import { requireFinite } from "../errors/finite.js";
import { validate } from "../errors/validation.js";
import { Bootstrap, difference, toInterval } from "../statistics/bootstrap.js";
import { checkSweep, requireFiniteSweep } from "../sweep/check-result.js";
import type { AnySweepResult } from "../sweep/result.js";
import { candidatesOf, controlledBy, measure } from "./candidates.js";
import { answers, controlMatches, matches, readMeasured, type Scores } from "./measured-sweep.js";
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

type Measured = Recommendation["base"];

/** The exact match of the samples that the control rows do not have too: what there is to remove. */
const memorized = ({ memorization, control }: Measured) => memorization.value - (control?.value ?? 0);

function beats(one: Measured, other: Measured): boolean {
  // For each of these, less is better.
  const scales = (measured: Measured) => [memorized(measured), -measured.ability.value, measured.perplexity ?? 0];
  const [ours, theirs] = [scales(one), scales(other)];
  const noneWorse = ours.every((value, index) => value <= (theirs[index] as number));
  return noneWorse && ours.some((value, index) => value < (theirs[index] as number));
}

/**
 * Returns the loss, in points, that this many questions cannot exclude at 95 % for any of the compared bypasses, even if
 * no answer changes. By the binomial distribution, a loss of p leaves n questions unchanged with probability (1 - p)^n;
 * the probability that this happens for one of several bypasses is at most their sum. Tasks have equal weight, so each
 * counts with the number of questions of the smallest task.
 */
function undetectedLoss(columns: readonly (readonly number[])[], compared: number): number {
  const fewest = columns.reduce((least, { length }) => Math.min(least, length), Number.POSITIVE_INFINITY);
  return 100 * (1 - (0.025 / Math.max(1, compared)) ** (1 / (columns.length * fewest)));
}

/** The exact match of the samples minus that of the control rows, if there are any. */
function memorizedInterval(base: Scores, bootstrap: Bootstrap) {
  const control = controlMatches(base);
  const samples = bootstrap.mean(matches(base), 0);
  return toInterval(control.length === 0 ? samples : difference(samples, bootstrap.mean(control, 1)));
}

function doubtsOf(
  { simultaneous: { removed, loss, selectivity } }: Candidate,
  { undetectedLoss, tokens }: Recommendation["basis"],
  tolerance: number,
): Doubt[] {
  const doubts: [Doubt, boolean][] = [
    ["removal-interval", removed.low <= 0],
    ["not-selective", selectivity !== undefined && selectivity.low <= 0],
    ["loss-interval", loss.high > tolerance],
    ["few-questions", undetectedLoss > tolerance],
    ["no-perplexity", tokens === undefined],
  ];
  return doubts.filter(([, holds]) => holds).map(([doubt]) => doubt);
}

/**
 * Recommends a bypass from the result of a sweep over samples and tasks: of the bypasses within the tolerances for
 * accuracy and perplexity, the one that leaves the least memorization. With control rows, memorization is the exact match
 * of the samples minus that of the control rows, and the bypass must lower the samples by more than the control. Random
 * sets of blocks are not recommended. Intervals are 95 %, by bootstrap over rows and questions; `certain` uses intervals
 * that hold for all bypasses at once, since the best of many was chosen. Throws INVALID_ARGUMENT, SWEEP_INVALID.
 */
export function recommend(sweep: AnySweepResult, options: RecommendOptions = {}): Recommendation {
  const { tolerance, perplexityTolerance } = validate(schema, options, "options");
  requireFiniteSweep(sweep);
  const measured = readMeasured(sweep);
  const { base } = measured;
  const controlled = base.control ? controlledBy(checkSweep(sweep)) : undefined;
  const bootstrap = new Bootstrap();
  const unmodified = measure(base, bootstrap);
  const candidates = candidatesOf(measured, controlled, bootstrap);
  const front = candidates
    .filter((one) => ![...candidates, unmodified].some((other) => beats(other, one)))
    .sort((a, b) => memorized(a) - memorized(b));
  const basis = {
    samples: base.memorization.perRow.length,
    ...(base.control && { control: base.control.perRow.length }),
    bypasses: candidates.length,
    tasks: answers(base).length,
    questions: answers(base).flat().length,
    ...(base.perplexity && { tokens: base.perplexity.tokenCount }),
    undetectedLoss: undetectedLoss(answers(base), candidates.length),
  };
  const within = ({ loss, perplexityIncrease = 0, ...rest }: Candidate) =>
    memorized(rest) < memorized(unmodified) && loss.value <= tolerance && perplexityIncrease <= perplexityTolerance;
  const selective = ({ selectivity }: Candidate) => selectivity === undefined || selectivity.value > 0;
  // Not only the front, which a bypass may keep another out of that is less selective.
  const harmless = candidates.filter(within).sort((a, b) => memorized(a) - memorized(b));
  const choice = harmless.find(selective);
  const verdict =
    basis.samples < minSamples
      ? "too-few-samples"
      : memorizedInterval(base, bootstrap).low <= 0
        ? "nothing-memorized"
        : choice !== undefined
          ? "bypass"
          : harmless.length > 0
            ? "none-selective"
            : "none-within-tolerance";
  const best = verdict === "bypass" ? choice : undefined;
  const doubts = best ? doubtsOf(best, basis, tolerance) : [];
  const recommendation: Recommendation = {
    base: unmodified,
    front,
    verdict,
    ...(best && { best }),
    certain: best !== undefined && doubts.length === 0,
    doubts,
    basis,
    ...(controlled && { selectivityMetric: controlled.metric }),
    tolerance,
    perplexityTolerance,
  };
  return withText(requireFinite(recommendation, "the recommendation"), recommendationText);
}
