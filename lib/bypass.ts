import * as v from "valibot";
import type { ModelConfig } from "./config.js";
import { AttentionBypassError } from "./errors.js";
import type { NativePlan } from "./native.js";
import { invalidArgument, validate, wholeNumber } from "./validation.js";

/** Blocks by their numbers from 0, by quarter of the stack, or from one to another, both included. */
export type Blocks = readonly number[] | { quartile: 1 | 2 | 3 | 4 } | { from: number; to?: number };

/**
 * What becomes of the attention's contribution to the residual stream: `zero` adds nothing and computes nothing;
 * `short-circuit` lets each token attend to itself alone, which leaves the output projection of its own value.
 */
export type BypassMode = "zero" | "short-circuit";

/** The blocks whose attention is bypassed. */
export interface Bypass {
  blocks: Blocks;
  /** Defaults to "zero". */
  mode?: BypassMode;
}

export const bypassSchema = v.strictObject({
  blocks: v.union(
    [
      v.array(v.number()),
      v.strictObject({ quartile: v.picklist([1, 2, 3, 4]) }),
      v.strictObject({ from: wholeNumber(0), to: v.optional(wholeNumber(0)) }),
    ],
    "block numbers, { quartile } or { from, to }",
  ),
  mode: v.optional(v.picklist(["zero", "short-circuit"])),
});

const modeNumbers = { zero: 1, "short-circuit": 2 };

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}

function blockNumbers(blocks: Blocks, count: number): readonly number[] {
  if ("quartile" in blocks) {
    const begin = Math.floor(((blocks.quartile - 1) * count) / 4);
    return range(begin, Math.floor((blocks.quartile * count) / 4) - 1);
  }
  if (!("from" in blocks)) return blocks;
  const { from, to = Math.max(from, count - 1) } = blocks;
  if (from > to) throw invalidArgument("bypass.blocks.to", `a block from ${from} on`, to);
  // A number that is out of range is refused like one in a list, without the numbers before it.
  return to < count ? range(from, to) : [to];
}

/** The bypass as the addon takes it. Throws INVALID_ARGUMENT, BLOCK_OUT_OF_RANGE, BLOCK_DUPLICATE. */
export function toPlan(bypass: Bypass | undefined, { blockCount }: ModelConfig): NativePlan {
  const plan = new Uint8Array(blockCount);
  if (bypass === undefined) return plan;
  const { blocks, mode = "zero" } = validate(bypassSchema, bypass, "bypass");
  for (const block of blockNumbers(blocks as Blocks, blockCount)) {
    if (!Number.isInteger(block) || block < 0 || block >= blockCount) {
      throw new AttentionBypassError(
        "BLOCK_OUT_OF_RANGE",
        `expected block numbers from 0 to ${blockCount - 1} for bypass.blocks but received ${block}`,
      );
    }
    if (plan[block] !== 0) {
      throw new AttentionBypassError(
        "BLOCK_DUPLICATE",
        `expected each block once for bypass.blocks but received ${block} twice`,
      );
    }
    plan[block] = modeNumbers[mode];
  }
  return plan;
}
