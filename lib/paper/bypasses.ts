import type { Bypass } from "../bypass/bypass.js";
import type { BypassFamily } from "../sweep/families.js";

/** The modes in which the experiment bypasses attention. The paper's own mode is "short-circuit". */
export const paperModes = ["short-circuit", "zero"] as const;

/** A mode in which the experiment bypasses attention. */
export type PaperMode = (typeof paperModes)[number];

/**
 * Returns what the sweep of a model bypasses: attention of each block and of each quarter of the blocks, in every mode
 * of the sweep, and the MLPs of the same blocks. MLPs have no short-circuit, so their mode is "zero".
 */
export function paperBypasses(blockCount: number): (BypassFamily | Bypass)[] {
  const mlps = { part: "mlp", mode: "zero" } as const;
  const blocks = Array.from({ length: blockCount }, (_, block): Bypass => ({ blocks: [block], ...mlps }));
  const quartiles = ([1, 2, 3, 4] as const).map((quartile): Bypass => ({ blocks: { quartile }, ...mlps }));
  return ["blocks", "quartiles", ...blocks, ...quartiles];
}
