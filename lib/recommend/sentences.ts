import { formOf } from "../selectivity/metrics.js";
import { amount } from "../selectivity/sentences.js";
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

/** Returns the interval that holds for all bypasses at once, or nothing if there is only one. */
function atOnce(interval: Interval | undefined, { basis }: Recommendation, scale = 1): string {
  return interval === undefined || basis.bypasses < 2 ? "" : ` ${ends(interval, scale)}`;
}

function because(doubt: Doubt, recommendation: Recommendation): string {
  const { tolerance, basis, best } = recommendation;
  const { removed, loss, selectivity } = best?.simultaneous ?? {};
  switch (doubt) {
    case "removal-interval":
      return `the interval of the removed memorization${atOnce(removed, recommendation, 100)} includes 0`;
    case "not-selective": {
      const metric = recommendation.selectivityMetric ?? "exactMatch";
      const interval = atOnce(selectivity, recommendation, formOf(metric).scale);
      return `the interval of the selectivity${interval} includes 0, so other text may lose as much`;
    }
    case "loss-interval":
      return `the interval of the loss${atOnce(loss, recommendation)} includes losses above the ${tolerance}-point tolerance`;
    case "few-questions":
      return `${count(basis.questions, "question")} cannot exclude a loss of up to ${fixed(basis.undetectedLoss)} points`;
    case "no-perplexity":
      return "perplexity was not measured, so the effect on other text is unknown";
  }
}

function certainty(recommendation: Recommendation): string {
  const { certain, doubts, basis } = recommendation;
  const many =
    basis.bypasses < 2
      ? ""
      : `, with intervals that hold for all ${basis.bypasses.toLocaleString("en-US")} bypasses at once`;
  if (certain) return `On these samples and tasks, this choice is certain at 95 %${many}.`;
  return `This choice is not certain at 95 %${many}: ${doubts.map((doubt) => because(doubt, recommendation)).join("; ")}.`;
}

function selectivitySentence({ best, selectivityMetric }: Recommendation): string {
  if (best?.selectivity === undefined || selectivityMetric === undefined) return "";
  return (
    ` Its selectivity, the drop of ${formOf(selectivityMetric).name} on the samples minus that on the control rows, is ` +
    `${amount(best.selectivity, selectivityMetric)}.`
  );
}

function basisSentence({ basis: { samples, control, tasks, questions, tokens } }: Recommendation): string {
  const perplexity =
    tokens === undefined
      ? "without perplexity"
      : `and the perplexity of ${count(tokens, "token")}, without an interval`;
  const measured = [
    count(samples, "sample"),
    ...(control === undefined ? [] : [count(control, "control row")]),
    `${count(questions, "question")} of ${count(tasks, "task")}`,
  ];
  return `This is based on ${measured.join(", ")}, ${perplexity}.`;
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
      `The unmodified model's ${match} over ${count(basis.samples, "sample")}, which is not above ${
        base.control
          ? `that of the control rows, ${fixed(100 * base.control.value)} % ${ends(base.control, 100)},`
          : "0"
      } at 95 %. There is nothing to remove, and no bypass is recommended.`,
    ];
  }
  if (verdict === "none-selective") {
    return [
      `The bypasses within the tolerances lower ${formOf(recommendation.selectivityMetric ?? "exactMatch").name} of the ` +
        "control rows at least as much as that of the samples, so none removes memorization only. No bypass is recommended.",
      basisSentence(recommendation),
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
      `The bypass costs ${fixed(best.loss.value)} points of accuracy ${ends(best.loss)}${perplexityChange(best, base.perplexity)}.${selectivitySentence(recommendation)}`,
    certainty(recommendation),
    basisSentence(recommendation),
  ];
}
