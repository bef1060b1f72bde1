import * as v from "valibot";
import { type AttentionMeans, type Bypass, type BypassMode, bypassModes, bypassSchema, toPlan } from "./bypass.js";
import type { ModelConfig } from "./config.js";
import type { NativePlan } from "./native.js";
import { wholeNumber } from "./validation.js";

/**
 * The block sets of a sweep: each block, each head of each block, each quarter of the stack, all pairs of blocks, all
 * windows of neighbouring blocks, or a list of one's own.
 */
export type SweptBlocks = "blocks" | "heads" | "quartiles" | "pairs" | { window: number } | readonly Bypass[];

/** The modes of a sweep: one, zero and short-circuit, or a list. */
export type SweptModes = BypassMode | "both" | readonly BypassMode[];

/** A bypass of a sweep. */
export interface Variant {
  /** Such as "block 3", "quartile 4", "blocks 3, 7" or "block 3 head 5". */
  name: string;
  /** Bypassed as a whole. */
  blocks: number[];
  /** Bypassed alone, by their blocks; where there are some. */
  heads?: Record<number, number[]>;
  mode: BypassMode;
}

export const sweptBlocks = v.optional(
  v.union(
    [
      v.picklist(["blocks", "heads", "quartiles", "pairs"]),
      v.strictObject({ window: wholeNumber(1) }),
      v.pipe(v.array(bypassSchema), v.nonEmpty("at least one bypass")),
    ],
    '"blocks", "heads", "quartiles", "pairs", { window } or an array of bypasses',
  ),
  "blocks",
);

export const sweptModes = v.optional(
  v.union(
    [v.picklist([...bypassModes, "both"]), v.pipe(v.array(v.picklist(bypassModes)), v.nonEmpty("at least one mode"))],
    '"zero", "short-circuit", "mean", "both" or an array of modes',
  ),
  "zero",
);

const listed = (kind: string, numbers: readonly number[]) =>
  `${kind}${numbers.length === 1 ? "" : "s"} ${numbers.join(", ")}`;

function nameOf(blocks: readonly number[], heads: Record<number, number[]>): string {
  const parts = Object.entries(heads).map(([block, numbers]) => `block ${block} ${listed("head", numbers)}`);
  return [...(blocks.length > 0 || parts.length === 0 ? [listed("block", blocks)] : []), ...parts].join("; ");
}

/** The block sets with their names, and the mode of those that say one themselves. */
function blockSets(over: SweptBlocks, { blockCount, headCount }: ModelConfig): { name?: string; bypass: Bypass }[] {
  const blocks = Array.from({ length: blockCount }, (_, block) => block);
  if (over === "blocks") return blocks.map((block) => ({ bypass: { blocks: [block] } }));
  if (over === "heads") {
    const heads = Array.from({ length: headCount }, (_, head) => head);
    return blocks.flatMap((block) => heads.map((head) => ({ bypass: { heads: { [block]: [head] } } })));
  }
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

function toVariant(plan: NativePlan, name: string | undefined, mode: BypassMode): Variant {
  const bypassed = [...plan.entries()].filter(([, { mode }]) => mode !== 0);
  const blocks = bypassed.filter(([, { heads }]) => heads.length === 0).map(([block]) => block);
  const heads = Object.fromEntries(
    bypassed
      .filter(([, { heads }]) => heads.length > 0)
      .map(([block, { heads }]) => [block, [...heads.keys()].filter((head) => heads[head] !== 0)]),
  );
  const some = Object.keys(heads).length > 0;
  return { name: name ?? nameOf(blocks, heads), blocks, ...(some && { heads }), mode };
}

export function toModes(modes: SweptModes): readonly BypassMode[] {
  if (modes === "both") return ["zero", "short-circuit"];
  return typeof modes === "string" ? [modes] : modes;
}

/**
 * The variants of a sweep, with each one's plan. `means` are those of bypasses that have none of their own. Throws
 * INVALID_ARGUMENT, BLOCK_OUT_OF_RANGE, BLOCK_DUPLICATE, HEAD_OUT_OF_RANGE, HEAD_DUPLICATE.
 */
export function toVariants(
  over: SweptBlocks,
  modes: SweptModes,
  means: AttentionMeans | undefined,
  config: ModelConfig,
): { variant: Variant; plan: NativePlan }[] {
  return toModes(modes).flatMap((asked, place) =>
    blockSets(over, config)
      // One that says its mode is not asked for twice.
      .filter(({ bypass }) => place === 0 || bypass.mode === undefined)
      .map(({ name, bypass }) => {
        const mode = bypass.mode ?? asked;
        const named = Array.isArray(over) ? `options.over[${over.indexOf(bypass)}]` : "options.over";
        const plan = toPlan({ ...(means && { means }), ...bypass, mode }, config, named);
        return { variant: toVariant(plan, name, mode), plan };
      }),
  );
}
