import type { Interval } from "../statistics/bootstrap.js";
import type { Candidate, Doubt, Recommendation } from "./recommendation.js";

const count = (number: number, noun: string) => `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;

/** One decimal, without a negative zero. */
const fixed = (value: number) => (Math.round(10 * value) / 10 + 0).toFixed(1);

const ends = ({ low, high }: Interval, scale = 1) => `[${[low, high].map((end) => fixed(scale * end)).join(", ")}]`;

function tolerances({ tolerance, perplexityTolerance, basis }: Recommendation): string {
  const perplexity =
    basis.tokens === undefined ? "" : ` and a measured perplexity increase of at most ${perplexityTolerance} %`;
  return `a measured loss of at most ${count(tolerance, "point")} of accuracy${perplexity}`;
}

function perplexityChange({ perplexity, perplexityIncrease }: Candidate, before: number | undefined): string {
  if (perplexity === undefined || perplexityIncrease === undefined || before === undefined) return "";
  const change = `${perplexityIncrease < 0 ? "falls" : "rises"} by ${fixed(Math.abs(perplexityIncrease))} %`;
  return `, and perplexity ${change}, from ${before.toPrecision(3)} to ${perplexity.toPrecision(3)}`;
}

function because(doubt: Doubt, { tolerance, basis }: Recommendation): string {
  switch (doubt) {
    case "removal-interval":
      return "the interval of the removed memorization includes 0";
    case "loss-interval":
      return `the interval of the loss includes losses above the ${tolerance}-point tolerance`;
    case "few-questions":
      return `${count(basis.questions, "question")} cannot exclude a loss of up to ${fixed(basis.undetectedLoss)} points`;
    case "no-perplexity":
      return "perplexity was not measured, so the effect on other text is unknown";
  }
}

function certainty(recommendation: Recommendation): string {
  const { certain, doubts } = recommendation;
  if (certain) return "On these samples and tasks, this choice is certain at 95 %.";
  return `This choice is not certain at 95 %: ${doubts.map((doubt) => because(doubt, recommendation)).join("; ")}.`;
}

function basisSentence({ basis: { samples, tasks, questions, tokens } }: Recommendation): string {
  const perplexity =
    tokens === undefined
      ? "without perplexity"
      : `and the perplexity of ${count(tokens, "token")}, without an interval`;
  const measured = [count(samples, "sample"), `${count(questions, "question")} of ${count(tasks, "task")}`];
  return `This is based on ${measured.join(tokens === undefined ? " and " : ", ")}, ${perplexity}.`;
}

/** Returns a recommendation as sentences, for the command line, consoles and reports. */
export function recommendationSentences(recommendation: Recommendation): string[] {
  const { base, best, verdict, basis } = recommendation;
  const match = `exact match is ${fixed(100 * base.memorization.value)} % ${ends(base.memorization, 100)}`;
  if (verdict === "too-few-samples") {
    return [
      `${count(basis.samples, "sample")} cannot show what the model has memorized; measure at least 10. No bypass is recommended.`,
    ];
  }
  if (verdict === "nothing-memorized") {
    return [
      `The unmodified model's ${match} over ${count(basis.samples, "sample")}, which is not above 0 at 95 %. There is ` +
        "nothing to remove, and no bypass is recommended.",
    ];
  }
  if (best === undefined) {
    return [
      `No bypass removes memorization within the tolerances: ${tolerances(recommendation)}.`,
      basisSentence(recommendation),
    ];
  }
  return [
    `Recommended bypass: ${best.name} (${best.mode}). It leaves ${fixed(100 * best.memorization.value)} % exact match ` +
      `${ends(best.memorization, 100)}, compared with ${fixed(100 * base.memorization.value)} % for the unmodified model. ` +
      `This is the lowest exact match of the bypasses within the tolerances: ${tolerances(recommendation)}. ` +
      `The bypass costs ${fixed(best.loss.value)} points of accuracy ${ends(best.loss)}${perplexityChange(best, base.perplexity)}.`,
    certainty(recommendation),
    basisSentence(recommendation),
  ];
}
