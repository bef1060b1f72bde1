import * as v from "valibot";
import { type Bypass, type BypassMode, bypassSchema, toPlan } from "./bypass.js";
import type { ModelConfig } from "./config.js";
import type { NativePlan } from "./native.js";
import { wholeNumber } from "./validation.js";

/**
 * The block sets of a sweep: each block, each quarter of the stack, all pairs of blocks, all windows of neighbouring
 * blocks, or a list of one's own.
 */
export type SweptBlocks = "blocks" | "quartiles" | "pairs" | { window: number } | readonly Bypass[];

/** A bypass of a sweep. */
export interface Variant {
  /** Such as "block 3", "quartile 4" or "blocks 3, 7". */
  name: string;
  blocks: number[];
  mode: BypassMode;
}

export const sweptBlocks = v.optional(
  v.union(
    [
      v.picklist(["blocks", "quartiles", "pairs"]),
      v.strictObject({ window: wholeNumber(1) }),
      v.pipe(v.array(bypassSchema), v.nonEmpty("at least one bypass")),
    ],
    '"blocks", "quartiles", "pairs", { window } or an array of bypasses',
  ),
  "blocks",
);

export const sweptModes = v.optional(v.picklist(["zero", "short-circuit", "both"]), "zero");

function nameOf(blocks: readonly number[]): string {
  return blocks.length === 1 ? `block ${blocks[0]}` : `blocks ${blocks.join(", ")}`;
}

/** The block sets with their names, and the mode of those that say one themselves. */
function blockSets(over: SweptBlocks, { blockCount }: ModelConfig): { name?: string; bypass: Bypass }[] {
  const blocks = Array.from({ length: blockCount }, (_, block) => block);
  if (over === "blocks") return blocks.map((block) => ({ bypass: { blocks: [block] } }));
  if (over === "quartiles") {
    return ([1, 2, 3, 4] as const).map((quartile) => ({
      name: `quartile ${quartile}`,
      bypass: { blocks: { quartile } },
    }));
  }
  if (over === "pairs") {
    return blocks.flatMap((first) =>
      blocks.slice(first + 1).map((second) => ({ bypass: { blocks: [first, second] } })),
    );
  }
  if ("window" in over) {
    // A window that is wider than the stack is refused with the block that it would reach.
    const last = Math.max(0, blockCount - over.window);
    return blocks.slice(0, last + 1).map((from) => ({ bypass: { blocks: { from, to: from + over.window - 1 } } }));
  }
  return over.map((bypass) => ({ bypass }));
}

/**
 * The variants of a sweep, with each one's plan. Throws INVALID_ARGUMENT, BLOCK_OUT_OF_RANGE, BLOCK_DUPLICATE.
 */
export function toVariants(
  over: SweptBlocks,
  mode: BypassMode | "both",
  config: ModelConfig,
): { variant: Variant; plan: NativePlan }[] {
  const modes: readonly BypassMode[] = mode === "both" ? ["zero", "short-circuit"] : [mode];
  return modes.flatMap((asked, place) =>
    blockSets(over, config)
      // One that says its mode is not asked for twice.
      .filter(({ bypass }) => place === 0 || bypass.mode === undefined)
      .map(({ name, bypass }) => {
        const own = bypass.mode ?? asked;
        const plan = toPlan({ ...bypass, mode: own }, config);
        const blocks = [...plan.keys()].filter((block) => plan[block] !== 0);
        return { variant: { name: name ?? nameOf(blocks), blocks, mode: own }, plan };
      }),
  );
}
