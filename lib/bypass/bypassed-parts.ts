import type { NativePlan } from "../addon/native.js";
import { type BypassMode, type BypassPart, isPlain } from "./bypass.js";

/** What a bypass switches off, with block and head numbers. */
export interface BypassedParts {
  /** The part of the blocks that is bypassed. */
  part: BypassPart;
  /** The numbers of the blocks whose `part` is bypassed as a whole. */
  blocks: number[];
  /** The single bypassed heads, by block number. Absent if there are none. */
  heads?: Record<number, number[]>;
  /** What replaces the output of the bypassed part. */
  mode: BypassMode;
}

/** Returns the blocks and heads that a plan bypasses. */
export function bypassedIn(plan: NativePlan): { blocks: number[]; heads: Record<number, number[]> } {
  const bypassed = [...plan.entries()].filter(([, block]) => !isPlain(block));
  const blocks = bypassed.filter(([, { heads }]) => heads.length === 0).map(([block]) => block);
  const heads = Object.fromEntries(
    bypassed
      .filter(([, { heads }]) => heads.length > 0)
      .map(([block, { heads }]) => [block, [...heads.keys()].filter((head) => heads[head] !== 0)]),
  );
  return { blocks, heads };
}

const listed = (kind: string, numbers: readonly number[]) =>
  `${kind}${numbers.length === 1 ? "" : "s"} ${numbers.join(", ")}`;

/** Returns names of blocks and heads such as "blocks 3, 7" or "block 3 head 5". */
export function nameOf(blocks: readonly number[], heads: Readonly<Record<number, readonly number[]>>): string {
  const parts = Object.entries(heads).map(([block, numbers]) => `block ${block} ${listed("head", numbers)}`);
  return [...(blocks.length > 0 || parts.length === 0 ? [listed("block", blocks)] : []), ...parts].join("; ");
}

/** The end of the name of a bypass, which says the part. */
export const partNames: Readonly<Record<BypassPart, string>> = {
  attention: "",
  mlp: " MLP",
  both: " attention and MLP",
};
