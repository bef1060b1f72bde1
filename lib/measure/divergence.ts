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
  /** What to bypass; not nothing. */
  bypass: Bypass;
}

/** The residual streams after one block, without the bypass and with it. One value for each token; L2 norms. */
export interface BlockDivergence {
  /** The block's number. */
  block: number;
  /** Of the stream without the bypass. */
  stream: number[];
  /** Between the two. */
  distance: number[];
  /** What the distance is proven not to exceed. */
  bound: number[];
  /** The mean distance as a multiple of the one before this block; not where there was none. */
  growth?: number;
  /** Of blocks whose attention is bypassed as a whole by the mode "zero". */
  attention?: {
    /** The norm of what attention adds, for each token. */
    contribution: number[];
    /** The most that it adds to any input whatever, by its weights alone (the paper's first theorem). */
    bound: number;
  };
}

/** How far a bypass takes the model from itself on a row of tokens. */
export interface Divergence {
  /** The first block that is bypassed, and those after it. */
  blocks: BlockDivergence[];
  /** Of the next token after each. */
  output: {
    /** KL(p || q) in nats, p without and q with the bypass. */
    divergence: number[];
    /** What it is proven not to exceed. */
    bound: number[];
    /** The share of the positions at which the most probable next token changes. */
    topTokenChanged: number;
    /** The share of the positions at which it is proven not to change. */
    topTokenProvenUnchanged: number;
  };
}

const schema = v.strictObject({ ...longCall, bypass: v.unknown() });

/**
 * Measures how far a bypass takes the residual stream and the next token from those of the unmodified model, and proves
 * how far it can, from the unmodified model's values and its weights; docs/theory.md has the proofs. In float64.
 */
export async function divergence(session: Session, tokens: unknown, options: DivergenceOptions): Promise<Divergence> {
  const checked = validate(schema, options, "options");
  const plan = toPlan(checked.bypass, session.config);
  if (plan.every(isPlain)) throw invalidArgument("options.bypass", "a bypass of something", checked.bypass);
  const { value } = await encodeAhead(tokens, session, "tokens", { signal: checked.signal, fits: true });
  const row = toContextRow(value, session, "tokens");
  const [[only]] = (await diverge(session, [row], [plan], checked)) as [[Divergence]];
  return only;
}

/** The same of each row under each plan. */
export async function diverge(
  session: Session,
  rows: readonly Int32Array[],
  plans: readonly NativePlan[],
  options: OperationOptions,
): Promise<Divergence[][]> {
  if (!familyOf(session.config.family).provenBounds) {
    throw new AttentionBypassError(
      "BOUND_UNPROVEN",
      `expected a family with proven bounds but received ${session.config.family}; docs/theory.md says what is proven`,
    );
  }
  const exact = await session.float64.get();
  const found = await run(session.addon, options, (control) => exact.diverge(toNativeRows(rows), plans, control));
  // Arrays of this module's realm, whichever the addon's is.
  return Array.from(found, (row) =>
    Array.from(row, (one, index) =>
      requireFinite(toDivergence(one, plans[index] as NativePlan), "the divergence in float64"),
    ),
  );
}

function toDivergence({ blocks, output }: NativeDivergence, plan: NativePlan): Divergence {
  const first = plan.findIndex((block) => !isPlain(block));
  // A plan that bypasses nothing, which a sweep may have, changes no block.
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
