import * as v from "valibot";
import type { Bypass } from "../bypass/bypass.js";
import { invalidArgument, wholeNumber } from "../errors/validation.js";
import type { ModelConfig } from "../families/config.js";
import { countSets, drawSets, type RandomSets, randomSetsSchema } from "./random-sets.js";

/**
 * A family of bypasses: each block, each head of each block, each quarter of the blocks, each pair of blocks, each run
 * of `window` consecutive blocks, or random sets of blocks.
 */
export type BypassFamily = "blocks" | "heads" | "quartiles" | "pairs" | { window: number } | { random: RandomSets };

export const familyNames = ["blocks", "heads", "quartiles", "pairs"] as const satisfies readonly BypassFamily[];

export const namedFamilies = v.picklist(familyNames);

/** The schemas of families with a number, by the name of their only field. */
export const countedFamilies = {
  window: v.strictObject({ window: wholeNumber(1) }),
  random: v.strictObject({ random: randomSetsSchema }),
};

/** How messages list the families. */
export const familyList = '"blocks", "heads", "quartiles", "pairs", { window }, { random }';

/** Returns whether a member of `over` is a family, and not a bypass. */
export const isFamily = (item: BypassFamily | Bypass): item is BypassFamily =>
  typeof item === "string" || "window" in item || "random" in item;

/** Returns the bypasses of a family. `place` is used in error messages. Throws INVALID_ARGUMENT. */
export function bypassesOf(family: BypassFamily, { blockCount, headCount }: ModelConfig, place: string): Bypass[] {
  const blocks = Array.from({ length: blockCount }, (_, block) => block);
  const most = (name: string, limit: number, what: string, received: number) => {
    if (received > limit) throw invalidArgument(`${place}.${name}`, `at most ${limit}, ${what},`, received);
  };
  if (family === "blocks") return blocks.map((block) => ({ blocks: [block] }));
  if (family === "heads") {
    const heads = Array.from({ length: headCount }, (_, head) => head);
    return blocks.flatMap((block) => heads.map((head) => ({ heads: { [block]: [head] } })));
  }
  if (family === "quartiles") return ([1, 2, 3, 4] as const).map((quartile) => ({ blocks: { quartile } }));
  if (family === "pairs") {
    return blocks.flatMap((first) => blocks.slice(first + 1).map((second) => ({ blocks: [first, second] })));
  }
  if ("window" in family) {
    most("window", blockCount, "the number of blocks", family.window);
    return blocks
      .slice(0, blockCount - family.window + 1)
      .map((from) => ({ blocks: { from, to: from + family.window - 1 } }));
  }
  const { size, count } = family.random;
  most("random.size", blockCount, "the number of blocks", size);
  const sets = countSets(size, blockCount);
  most("random.count", sets, `the number of different sets of ${size} of ${blockCount} blocks`, count);
  return drawSets(family.random, blockCount).map((set) => ({ blocks: set }));
}
