import * as v from "valibot";
import type { NativePlan } from "../addon/native.js";
import {
  type Bypass,
  type BypassMeans,
  type BypassMode,
  type BypassPart,
  bypassModes,
  bypassParts,
  bypassSchema,
  toPlan,
} from "../bypass/bypass.js";
import { bypassedIn, nameOf, partNames } from "../bypass/bypassed-parts.js";
import { invalidArgument } from "../errors/validation.js";
import type { ModelConfig } from "../families/config.js";
import { type BypassFamily, bypassesOf, countedFamilies, familyList, isFamily, namedFamilies } from "./families.js";

/** The bypasses of a sweep: one family, or a list of families and single bypasses. */
export type SweptBlocks = BypassFamily | readonly (BypassFamily | Bypass)[];

/** The parts of blocks that a sweep bypasses: one or a list. */
export type SweptParts = BypassPart | readonly BypassPart[];

/** The bypass modes of a sweep: one or a list. */
export type SweptModes = BypassMode | readonly BypassMode[];

/**
 * The kind of a variant: one block, one quarter of the blocks, one head, a random set of blocks, or any other set of
 * blocks and heads.
 */
export type VariantKind = "block" | "quartile" | "head" | "random" | "set";

/** One bypass of a sweep. */
export interface Variant {
  /**
   * The name of the variant, such as "block 3", "quartile 4", "blocks 3, 7", "random blocks 1, 4", "block 3 head 5" or
   * "block 3 MLP".
   */
  name: string;
  /** The kind of the variant. */
  kind: VariantKind;
  /** The number of the quarter, where 1 is next to the input. Only for the kind "quartile". */
  quartile?: 1 | 2 | 3 | 4;
  /** The part of the blocks that is bypassed. */
  part: BypassPart;
  /** The numbers of the blocks whose `part` is bypassed as a whole. */
  blocks: number[];
  /** The single bypassed heads, by block number. Absent if there are none. */
  heads?: Record<number, number[]>;
  /** What replaces the output of the bypassed part. */
  mode: BypassMode;
}

/**
 * An object with the field of a family is validated as that family, and any other object as a bypass, so that error
 * messages name the wrong field.
 */
const member = v.lazy((value) => {
  if (typeof value !== "object" || value === null) return v.union([namedFamilies], `${familyList} or a bypass`);
  if ("window" in value) return countedFamilies.window;
  return "random" in value ? countedFamilies.random : bypassSchema;
});

const listOrFamily = v.lazy((value) => {
  if (Array.isArray(value)) return v.pipe(v.array(member), v.nonEmpty("at least one bypass"));
  if (typeof value === "object" && value !== null) {
    if ("window" in value) return countedFamilies.window;
    if ("random" in value) return countedFamilies.random;
  }
  return v.union([namedFamilies], `${familyList} or an array of them and of bypasses`);
});

/** The schema of a variant's fields, for results that come from outside. */
export const variantFields = {
  name: v.string(),
  kind: v.picklist(["block", "quartile", "head", "random", "set"]),
  quartile: v.exactOptional(v.picklist([1, 2, 3, 4])),
  part: v.picklist(bypassParts),
  blocks: v.array(v.number()),
  heads: v.exactOptional(v.record(v.string(), v.array(v.number()))),
  mode: v.picklist(bypassModes),
};

export const sweptBlocks = v.optional(listOrFamily, "blocks");

export const sweptParts = v.optional(
  v.union(
    [v.picklist(bypassParts), v.pipe(v.array(v.picklist(bypassParts)), v.nonEmpty("at least one part"))],
    '"attention", "mlp", "both" or an array of parts',
  ),
  "attention",
);

export const sweptModes = v.optional(
  v.union(
    [v.picklist(bypassModes), v.pipe(v.array(v.picklist(bypassModes)), v.nonEmpty("at least one mode"))],
    '"zero", "short-circuit", "mean" or an array of modes',
  ),
  "zero",
);

interface ListedBypass {
  bypass: Bypass;
  /** The name for error messages. */
  place: string;
  /** Whether the bypass is of the family `random`. */
  random: boolean;
}

function listBypasses(over: SweptBlocks, config: ModelConfig): ListedBypass[] {
  const listed = Array.isArray(over)
    ? (over as (BypassFamily | Bypass)[]).map((item, index) => ({ item, place: `options.over[${index}]` }))
    : [{ item: over as BypassFamily, place: "options.over" }];
  return listed.flatMap(({ item, place }) => {
    const random = typeof item === "object" && "random" in item;
    return (isFamily(item) ? bypassesOf(item, config, place) : [item]).map((bypass) => ({ bypass, place, random }));
  });
}

function toVariant({ bypass, random }: ListedBypass, plan: NativePlan, part: BypassPart, mode: BypassMode): Variant {
  const { blocks, heads } = bypassedIn(plan);
  const requested = bypass.blocks;
  const headLists = Object.values(heads);
  const quartile = requested && "quartile" in requested && headLists.length === 0 ? requested.quartile : undefined;
  const oneBlock = blocks.length === 1 && headLists.length === 0;
  const oneHead = blocks.length === 0 && headLists.flat().length === 1;
  const name = quartile === undefined ? nameOf(blocks, heads) : `quartile ${quartile}`;
  const kind = quartile !== undefined ? "quartile" : oneBlock ? "block" : oneHead ? "head" : "set";
  return {
    name: `${random ? "random " : ""}${name}${partNames[part]}`,
    kind: random ? "random" : kind,
    ...(quartile !== undefined && { quartile }),
    part,
    blocks,
    ...(headLists.length > 0 && { heads }),
    mode,
  };
}

/** The bypasses of a sweep, and the parts, modes and means of those that do not have their own. */
export interface Swept {
  over: SweptBlocks;
  part: SweptParts;
  mode: SweptModes;
  means?: BypassMeans | undefined;
}

/** Returns whether a bypass has heads. Its part is then "attention". */
const hasHeads = ({ heads }: Bypass) => heads !== undefined;

/**
 * Returns the variants of a sweep with their plans: every bypass with each part and mode, unless it has its own. Throws
 * INVALID_ARGUMENT, BLOCK_OUT_OF_RANGE, BLOCK_DUPLICATE, HEAD_OUT_OF_RANGE, HEAD_DUPLICATE.
 */
export function toVariants(
  { over, part: parts, mode: modes, means }: Swept,
  config: ModelConfig,
): { variant: Variant; plan: NativePlan }[] {
  const bypasses = listBypasses(over, config);
  const combinations = [parts]
    .flat()
    .flatMap((part: BypassPart, partIndex) =>
      [modes].flat().map((mode, modeIndex) => ({ part, mode, partIndex, modeIndex })),
    );
  return combinations.flatMap(({ part: requestedPart, mode: requestedMode, partIndex, modeIndex }) =>
    bypasses
      // A bypass with its own part or mode produces one variant, not one for each requested part or mode.
      .filter(({ bypass }) => partIndex === 0 || (bypass.part === undefined && !hasHeads(bypass)))
      .filter(({ bypass }) => modeIndex === 0 || bypass.mode === undefined)
      .map((listed) => {
        const { bypass, place } = listed;
        const part = bypass.part ?? (hasHeads(bypass) ? "attention" : requestedPart);
        const mode = bypass.mode ?? requestedMode;
        if (mode === "mean" && bypass.means === undefined && means === undefined) {
          throw invalidArgument("options.means", 'the means that the mode "mean" requires', undefined);
        }
        const plan = toPlan({ ...(means && { means }), ...bypass, part, mode }, config, place);
        return { variant: toVariant(listed, plan, part, mode), plan };
      }),
  );
}
