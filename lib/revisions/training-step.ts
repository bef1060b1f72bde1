/** The words before the step in the names of checkpoints: step1000, step_1000, checkpoint-500, iter_0001000. */
const words = ["step", "checkpoint", "iteration", "iter"];

/**
 * Returns the training step in the name of a revision, such as 1000 for "step1000" and "stage1-step1000-tokens4B".
 * Undefined if no number follows such a word, as in "main".
 */
export function trainingStep(name: string): number | undefined {
  for (const word of words) {
    const digits = new RegExp(`${word}[-_ ]?(\\d{1,15})(?!\\d)`, "i").exec(name)?.[1];
    if (digits !== undefined) return Number(digits);
  }
  return undefined;
}

/** Sorts by training step. Values without a step keep their order and come last. */
export function byStep<Value extends { step?: number | undefined }>(values: readonly Value[]): Value[] {
  const place = ({ step = Number.POSITIVE_INFINITY }: Value) => step;
  // Infinity minus infinity is NaN, which does not sort.
  return values.toSorted((one, other) => (place(one) === place(other) ? 0 : place(one) - place(other)));
}
