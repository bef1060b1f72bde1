import { table, wrap } from "../display/text-form.js";
import type { Interval } from "../statistics/bootstrap.js";
import type { Candidate, Recommendation } from "./recommendation.js";
import { recommendationSentences } from "./sentences.js";

/** Returns the Pareto front as a table, then the recommendation as sentences. */
export function recommendationText(recommendation: Recommendation): string {
  const { base, front } = recommendation;
  const interval = ({ value, low, high }: Interval, scale = 100) => {
    const [middle, from, to] = [value, low, high].map((number) => (scale * number).toFixed(1));
    return `${middle} [${from}, ${to}]`;
  };
  const measured = base.perplexity !== undefined;
  const line = (
    name: string,
    mode: string,
    of: Pick<Candidate, "memorization" | "ability" | "perplexity">,
    loss = "",
  ) => [
    name,
    mode,
    interval(of.memorization),
    interval(of.ability),
    loss,
    ...(measured ? [(of.perplexity ?? Number.NaN).toPrecision(4)] : []),
  ];
  const rows = [
    ["bypass", "mode", "exact match, %", "accuracy, %", "points lost", ...(measured ? ["perplexity"] : [])],
    line("none", "", base),
    ...front.map((one) => line(one.name, one.mode, one, interval(one.loss, 1))),
  ];
  return `${table(rows, 2)}\n${wrap(recommendationSentences(recommendation).join(" "))}\n`;
}
