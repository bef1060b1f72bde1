import type { Bypass } from "../bypass/bypass.js";
import type { BypassFamily } from "../sweep/families.js";

/** The modes in which the experiment bypasses attention. The paper's own mode is "short-circuit". */
export const paperModes = ["short-circuit", "zero"] as const;

/** A mode in which the experiment bypasses attention. */
export type PaperMode = (typeof paperModes)[number];

/**
 * Returns what the sweep of a model bypasses: attention of each block, of each quarter of the blocks and of some random
 * sets of as many blocks as the last quarter has, in every mode of the sweep, and the MLPs of the same blocks and
 * quarters. MLPs have no short-circuit, so their mode is "zero".
 */
export function paperBypasses(blockCount: number, randomSets: number): (BypassFamily | Bypass)[] {
  const mlps = { part: "mlp", mode: "zero" } as const;
  const blocks = Array.from({ length: blockCount }, (_, block): Bypass => ({ blocks: [block], ...mlps }));
  const quartiles = ([1, 2, 3, 4] as const).map((quartile): Bypass => ({ blocks: { quartile }, ...mlps }));
  const size = blockCount - Math.floor((3 * blockCount) / 4);
  const random: BypassFamily[] = randomSets > 0 ? [{ random: { size, count: randomSets } }] : [];
  return ["blocks", "quartiles", ...random, ...blocks, ...quartiles];
}
