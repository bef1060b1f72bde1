import type { Variant } from "../sweep/variants.js";

/** The name of random sets on the axis of quarters, short enough for narrow panels. */
export const randomName = "R";

/** The sentence of a caption about random sets. */
export const randomCaption = " R is random sets of as many blocks, one small point for each set.";

const setOrder = ["Q1", "Q2", "Q3", "Q4", randomName];

/** Returns the sets of blocks on an axis, in their order. */
export const setDomain = (values: readonly { set: string }[]): string[] =>
  setOrder.filter((name) => values.some(({ set }) => set === name));

/**
 * Returns a function that returns the place of a variant on the axis of quarters: its quarter, or `randomName` for a
 * random set of as many blocks as a quarter has.
 */
export function setPlace(variants: readonly Variant[]): (variant: Variant) => { set: string } | undefined {
  const sizes = new Set(variants.filter(({ quartile }) => quartile !== undefined).map(({ blocks }) => blocks.length));
  return ({ kind, quartile, blocks }) => {
    if (quartile !== undefined) return { set: `Q${quartile}` };
    return kind === "random" && sizes.has(blocks.length) ? { set: randomName } : undefined;
  };
}
