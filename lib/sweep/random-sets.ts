import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import * as v from "valibot";
import { wholeNumber } from "../errors/validation.js";

/** Random sets of blocks, all of one size: what any bypass of that size does, for comparison with chosen blocks. */
export interface RandomSets {
  /** The number of blocks in each set. */
  size: number;
  /** The number of different sets, at most 1000. */
  count: number;
  /** The seed of the choice. More sets of one size and seed begin with the same sets. Defaults to 0. */
  seed?: number;
}

const mostSets = 1000;
const seed = wholeNumber(0);
const countRange = `a whole number from 1 to ${mostSets}`;

export const randomSetsSchema = v.strictObject({
  size: wholeNumber(1),
  count: v.pipe(
    wholeNumber(1, countRange),
    v.check((count) => count <= mostSets, countRange),
  ),
  seed: v.exactOptional(seed),
});

/** Returns the number of different sets of `size` of `blockCount` blocks. */
export function countSets(size: number, blockCount: number): number {
  let count = 1;
  for (let taken = 1; taken <= size; taken++) count = (count * (blockCount - size + taken)) / taken;
  return Math.round(count);
}

/**
 * Returns different random sets of block numbers, each ascending, in the order in which they are drawn. There must be at
 * least `count` different sets.
 */
export function drawSets({ size, count, seed = 0 }: RandomSets, blockCount: number): number[][] {
  const generator = xoroshiro128plus(seed);
  const sets = new Map<string, number[]>();
  while (sets.size < count) {
    const blocks = Array.from({ length: blockCount }, (_, block) => block);
    // Fisher and Yates's shuffle, as far as the set needs it.
    for (let place = 0; place < size; place++) {
      const other = uniformInt(generator, place, blockCount - 1);
      [blocks[place], blocks[other]] = [blocks[other] as number, blocks[place] as number];
    }
    const set = blocks.slice(0, size).sort((a, b) => a - b);
    sets.set(set.join(), set);
  }
  return [...sets.values()];
}
