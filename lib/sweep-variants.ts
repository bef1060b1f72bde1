import * as v from "valibot";
import { type AttentionMeans, type Bypass, type BypassMode, bypassModes, bypassSchema, toPlan } from "./bypass.js";
import type { ModelConfig } from "./config.js";
import type { NativePlan } from "./native.js";
import { invalidArgument, wholeNumber } from "./validation.js";

/**
 * Each block, each head of each block, each quarter of the stack, all pairs of blocks, or all windows of so many
 * neighbouring blocks.
 */
export type BypassFamily = "blocks" | "heads" | "quartiles" | "pairs" | { window: number };

export const familyNames = ["blocks", "heads", "quartiles", "pairs"] as const satisfies readonly BypassFamily[];

/** What a sweep bypasses, one after the other: a family of bypasses, or a list of families and bypasses of one's own. */
export type SweptBlocks = BypassFamily | readonly (BypassFamily | Bypass)[];

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
  /** What becomes of their attention. */
  mode: BypassMode;
}

const familySchema = [v.picklist(familyNames), v.strictObject({ window: wholeNumber(1) })] as const;
const families = '"blocks", "heads", "quartiles", "pairs", { window }';

/** A mistake in a bypass is to be told as one, so an object that is no window is taken for a bypass. */
const member = v.lazy((value) =>
  typeof value === "object" && value !== null && !("window" in value)
    ? bypassSchema
    : v.union(familySchema, `${families} or a bypass`),
);

export const sweptBlocks = v.optional(
  v.union(
    [...familySchema, v.pipe(v.array(member), v.nonEmpty("at least one bypass"))],
    `${families} or an array of them and of bypasses`,
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

function bypassesOf(family: BypassFamily, { blockCount, headCount }: ModelConfig, place: string): Bypass[] {
  if (typeof family === "object" && family.window > blockCount) {
    throw invalidArgument(`${place}.window`, `at most ${blockCount} blocks, which is all of the model,`, family.window);
  }
  const blocks = Array.from({ length: blockCount }, (_, block) => block);
  if (family === "blocks") return blocks.map((block) => ({ blocks: [block] }));
  if (family === "heads") {
    const heads = Array.from({ length: headCount }, (_, head) => head);
    return blocks.flatMap((block) => heads.map((head) => ({ heads: { [block]: [head] } })));
  }
  if (family === "quartiles") return ([1, 2, 3, 4] as const).map((quartile) => ({ blocks: { quartile } }));
  if (family === "pairs") {
    return blocks.flatMap((first) => blocks.slice(first + 1).map((second) => ({ blocks: [first, second] })));
  }
  return blocks
    .slice(0, blockCount - family.window + 1)
    .map((from) => ({ blocks: { from, to: from + family.window - 1 } }));
}

const isFamily = (item: BypassFamily | Bypass): item is BypassFamily => typeof item === "string" || "window" in item;

/** The bypasses of a sweep, each with what messages call it. */
function listBypasses(over: SweptBlocks, config: ModelConfig): { bypass: Bypass; place: string }[] {
  const listed = Array.isArray(over)
    ? (over as (BypassFamily | Bypass)[]).map((item, index) => ({ item, place: `options.over[${index}]` }))
    : [{ item: over as BypassFamily, place: "options.over" }];
  return listed.flatMap(({ item, place }) =>
    (isFamily(item) ? bypassesOf(item, config, place) : [item]).map((bypass) => ({ bypass, place })),
  );
}

function toVariant({ blocks: asked }: Bypass, plan: NativePlan, mode: BypassMode): Variant {
  const bypassed = [...plan.entries()].filter(([, { mode }]) => mode !== 0);
  const blocks = bypassed.filter(([, { heads }]) => heads.length === 0).map(([block]) => block);
  const heads = Object.fromEntries(
    bypassed
      .filter(([, { heads }]) => heads.length > 0)
      .map(([block, { heads }]) => [block, [...heads.keys()].filter((head) => heads[head] !== 0)]),
  );
  const some = Object.keys(heads).length > 0;
  const quartile = asked && "quartile" in asked && !some;
  const name = quartile ? `quartile ${asked.quartile}` : nameOf(blocks, heads);
  return { name, blocks, ...(some && { heads }), mode };
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
  return toModes(modes).flatMap((asked, turn) =>
    listBypasses(over, config)
      // One that says its mode is not asked for twice.
      .filter(({ bypass }) => turn === 0 || bypass.mode === undefined)
      .map(({ bypass, place }) => {
        const mode = bypass.mode ?? asked;
        if (mode === "mean" && bypass.means === undefined && means === undefined) {
          throw invalidArgument("options.means", 'the means that the mode "mean" needs', undefined);
        }
        const plan = toPlan({ ...(means && { means }), ...bypass, mode }, config, place);
        return { variant: toVariant(bypass, plan, mode), plan };
      }),
  );
}
