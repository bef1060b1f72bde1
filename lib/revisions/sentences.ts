import type { SweptRevision } from "./result.js";

/** Returns the sentence that says that a revision was not measured, since its weights are those of another one. */
export function doubledSentence({ name, sameWeightsAs }: SweptRevision & { sameWeightsAs: string }): string {
  return (
    `${name} has the same weight files as ${sameWeightsAs}, so it was not measured: that nothing changes between these ` +
    "two revisions says nothing about the training."
  );
}
