import type { Interval } from "../statistics/bootstrap.js";
import type { Setting } from "./setting.js";

/** Whether a claim holds for what was measured, at 95 %. */
export type Verdict = "holds" | "does not hold" | "undecided" | "not measured";

/** A claim that the measurements of a model can support or contradict. */
export interface Claim {
  /** The claim in a table. */
  name: string;
  /** The claim in a sentence, without the words around it. */
  text: string;
  /** Whether the paper claims it. */
  published: boolean;
  /** When it holds, as what is above 0 at 95 %. */
  criterion: string;
}

export const claims = {
  deep: {
    name: "deep attention carries memorization",
    text: "deep attention carries memorization",
    published: true,
    criterion: "more than half of the memorization is removed, and more than half of the ability is kept",
  },
  early: {
    name: "early attention carries ability",
    text: "early attention carries ability",
    published: true,
    criterion: "the first quarter of the blocks leaves less ability than the last",
  },
  mlps: {
    name: "deep attention costs less ability than MLPs",
    text: "deep attention costs less ability for the memorization that it removes than the MLPs of the same blocks",
    published: false,
    criterion: "the ability minus the memorization that remains is higher without attention than without MLPs",
  },
  control: {
    name: "memorized rows lose more than control rows",
    text: "deep attention matters more to memorized rows than to control rows",
    published: false,
    criterion:
      "the selectivity, which is the drop on memorized rows minus the drop on control rows, is above 0, and control rows " +
      "can lose as much",
  },
  random: {
    name: "last quarter more selective than random sets",
    text: "the attention of the last quarter is more selective than that of random sets of as many blocks",
    published: false,
    criterion: "it ranks in the top 5 % of them",
  },
  scale: {
    name: "late blocks matter less in larger models",
    text: "the larger the model, the less one late block matters",
    published: true,
    criterion: "more memorization remains in the largest model of a family than in the smallest",
  },
} as const satisfies Record<string, Claim>;

/** A claim with the verdict for one model, or for two that are compared. */
export interface Judgement {
  claim: keyof typeof claims;
  model: string;
  /** What is bypassed, as in "with BYPASS". */
  bypass: string;
  /** The mode in which attention is bypassed. */
  mode: Setting["mode"];
  verdict: Verdict;
  /** The numbers behind the verdict, or why there are none. */
  measured: string;
}

/** Returns the verdict on differences that must all be above 0. */
export function verdictOf(...differences: readonly Pick<Interval, "low" | "high">[]): Verdict {
  if (differences.every(({ low }) => low > 0)) return "holds";
  return differences.some(({ high }) => high <= 0) ? "does not hold" : "undecided";
}
