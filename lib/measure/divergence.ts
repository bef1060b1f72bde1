import * as v from "valibot";
import type { NativeDivergence, NativePlan } from "../addon/native.js";
import { type Bypass, isPlain, toPlan } from "../bypass/bypass.js";
import { AttentionBypassError } from "../errors/errors.js";
import { requireFinite } from "../errors/finite.js";
import { invalidArgument, longCall, validate } from "../errors/validation.js";
import { familyOf } from "../families/registry.js";
import { type OperationOptions, run } from "../operation/operation.js";
import type { Session } from "../session/session.js";
import { mean } from "../statistics/statistics.js";
import { encodeAhead } from "../tokenizer/encode-ahead.js";
import { toContextRow, toNativeRows } from "../tokenizer/tokens.js";

/** Options of `model.divergence`. */
export interface DivergenceOptions extends OperationOptions {
  /** What to bypass. Must bypass at least one block or head. */
  bypass: Bypass;
}

/**
 * The residual stream after one block, with and without the bypass. Arrays have one value for each token; norms are L2.
 */
export interface BlockDivergence {
  /** The block's number. */
  block: number;
  /** The norm of the residual stream without the bypass. */
  stream: number[];
  /** The distance between the residual streams with and without the bypass. */
  distance: number[];
  /** The proven upper bound of `distance`. */
  bound: number[];
  /** The mean `distance` after this block divided by that after the previous block. Absent for the first block, and if the
   * divisor is 0. */
  growth?: number;
  /**
   * The attention output that the bypass removes. Only for blocks whose whole attention is bypassed with the mode
   * "zero".
   */
  attention?: {
    /** The norm of the attention output for each token. */
    contribution: number[];
    /** The upper bound of that norm over all possible inputs, computed from the weights (the paper's first theorem). */
    bound: number;
  };
}

/** How much a bypass changes the residual stream and the next-token distribution on a row of tokens. */
export interface Divergence {
  /** The first bypassed block and all blocks after it. */
  blocks: BlockDivergence[];
  /** The change of the next-token distribution after each token. */
  output: {
    /** The KL divergence KL(p || q) in nats for each token, where p is without the bypass and q with it. */
    divergence: number[];
    /** The proven upper bound of `divergence` for each token. */
    bound: number[];
    /** The share of the positions where the most probable next token changes. */
    topTokenChanged: number;
    /** The share of the positions where the most probable next token is proven not to change. */
    topTokenProvenUnchanged: number;
  };
}

const schema = v.strictObject({ ...longCall, bypass: v.unknown() });

/**
 * Measures in float64 how much a bypass changes the residual stream and the next-token distribution, and computes
 * proven upper bounds of these changes from the unmodified model's activations and weights. docs/theory.md has the
 * proofs.
 */
export async function divergence(session: Session, tokens: unknown, options: DivergenceOptions): Promise<Divergence> {
  const checked = validate(schema, options, "options");
  const plan = toPlan(checked.bypass, session.config);
  if (plan.every(isPlain))
    throw invalidArgument("options.bypass", "a bypass of at least one block or head", checked.bypass);
  const { value } = await encodeAhead(tokens, session, "tokens", { signal: checked.signal, fits: true });
  const row = toContextRow(value, session, "tokens");
  const [[only]] = (await diverge(session, [row], [plan], checked)) as [[Divergence]];
  return only;
}

/** Measures the divergence of each row under each plan, [row][plan]. Throws BOUND_UNPROVEN. */
export async function diverge(
  session: Session,
  rows: readonly Int32Array[],
  plans: readonly NativePlan[],
  options: OperationOptions,
): Promise<Divergence[][]> {
  if (!familyOf(session.config.family).provenBounds) {
    throw new AttentionBypassError(
      "BOUND_UNPROVEN",
      `expected a model family with proven bounds but received ${session.config.family}; see docs/theory.md`,
    );
  }
  const model = await session.float64.get();
  const found = await run(session.addon, options, (control) => model.diverge(toNativeRows(rows), plans, control));
  // Copied to arrays of this module's realm: in a vm context the addon's arrays are of another.
  return Array.from(found, (row) =>
    Array.from(row, (one, index) =>
      requireFinite(toDivergence(one, plans[index] as NativePlan), "the divergence in float64"),
    ),
  );
}

function toDivergence({ blocks, output }: NativeDivergence, plan: NativePlan): Divergence {
  const first = plan.findIndex((block) => !isPlain(block));
  // A sweep may have a plan that bypasses nothing; it changes no block.
  const from = first < 0 ? blocks.length : first;
  return {
    blocks: [...blocks].slice(from).map(({ stream, distance, bound, contribution, contributionBound }, index) => {
      const growth = index === 0 ? Number.NaN : mean(distance) / mean(blocks[from + index - 1]?.distance ?? []);
      return {
        block: from + index,
        stream: [...stream],
        distance: [...distance],
        bound: [...bound],
        ...(Number.isFinite(growth) && { growth }),
        ...(contribution.length > 0 && { attention: { contribution: [...contribution], bound: contributionBound } }),
      };
    }),
    output: {
      divergence: [...output.divergence],
      bound: [...output.bound],
      topTokenChanged: mean(output.changed),
      topTokenProvenUnchanged: mean(output.certain),
    },
  };
}
