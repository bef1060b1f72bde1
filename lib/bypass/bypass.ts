import { types } from "node:util";
import * as v from "valibot";
import type { NativeBlockBypass, NativePlan } from "../addon/native.js";
import { AttentionBypassError } from "../errors/errors.js";
import { invalidArgument, reading, validate, wholeNumber } from "../errors/validation.js";
import type { ModelConfig } from "../families/config.js";

/**
 * A set of blocks, numbered from 0: a list of block numbers; one quarter of the blocks, where quartile 1 is next to the
 * input; or a range that includes both ends. `to` defaults to the last block.
 */
export type Blocks = readonly number[] | { quartile: 1 | 2 | 3 | 4 } | { from: number; to?: number };

/** Attention heads by block, both numbered from 0: `{ 3: [0, 5] }` is heads 0 and 5 of block 3. */
export type Heads = Readonly<Record<number, readonly number[]>>;

export const bypassParts = ["attention", "mlp", "both"] as const;

/** The part of a block that is bypassed: its attention, its MLP, or both. */
export type BypassPart = (typeof bypassParts)[number];

export const bypassModes = ["zero", "short-circuit", "mean"] as const;

/**
 * What replaces the output of a bypassed part.
 * - "zero": zero. The part is not computed and adds nothing to the residual stream.
 * - "short-circuit", for attention only: each token attends only to itself, so the output is the output projection of
 *   the token's own value vector.
 * - "mean": the same output for every token, a mean that was measured before (`means`).
 */
export type BypassMode = (typeof bypassModes)[number];

/** The mean outputs of the blocks over tokens, for bypasses with the mode "mean". `model.attention` measures them. */
export interface BypassMeans {
  /**
   * Mean head outputs, one row for each block: the concatenated outputs of its heads before the output projection, with
   * `hiddenSize` numbers.
   */
  readonly blocks: readonly ArrayLike<number>[];
  /**
   * Mean MLP outputs, one row of `hiddenSize` numbers for each block. Required to bypass an MLP with the mode "mean".
   */
  readonly mlps?: readonly ArrayLike<number>[];
}

/**
 * What to bypass: blocks, single heads, or both. Calls that take a bypass throw BLOCK_OUT_OF_RANGE, BLOCK_DUPLICATE,
 * HEAD_OUT_OF_RANGE and HEAD_DUPLICATE.
 */
export interface Bypass {
  /** The blocks whose `part` is bypassed. For attention this includes the bias of the output projection. */
  blocks?: Blocks;
  /** Single attention heads, of blocks that are not in `blocks`. The bias of the output projection is still added. */
  heads?: Heads;
  /**
   * The part of `blocks` to bypass. With "both" and the mode "zero", a block adds nothing to the residual stream.
   * Defaults to "attention".
   */
  part?: BypassPart;
  /** What replaces the output. "short-circuit" requires the part "attention". Defaults to "zero". */
  mode?: BypassMode;
  /** The mean outputs of all blocks. Required for the mode "mean". */
  means?: BypassMeans;
}

/** Accepts arrays and typed arrays from any realm. The elements are checked when they are read. */
const numberList = v.custom<ArrayLike<number>>(
  (value) => Array.isArray(value) || (types.isTypedArray(value) && !isBigIntArray(value)),
  "an array of numbers",
);

const isBigIntArray = (value: unknown) => types.isBigInt64Array(value) || types.isBigUint64Array(value);

export const meansSchema = v.object({ blocks: v.array(numberList), mlps: v.exactOptional(v.array(numberList)) });

export const bypassSchema = v.strictObject({
  blocks: v.optional(
    v.union(
      [
        v.array(v.number()),
        v.strictObject({ quartile: v.picklist([1, 2, 3, 4]) }),
        v.strictObject({ from: wholeNumber(0), to: v.optional(wholeNumber(0)) }),
      ],
      "block numbers, { quartile } from 1 to 4, or { from, to }",
    ),
  ),
  heads: v.optional(
    v.pipe(
      v.unknown(),
      v.check((value) => typeof value === "object" && !Array.isArray(value), "heads by block, as in { 3: [0, 5] },"),
      v.record(v.string(), v.array(v.number())),
    ),
  ),
  part: v.optional(v.picklist(bypassParts)),
  mode: v.optional(v.picklist(bypassModes)),
  means: v.optional(meansSchema),
});

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}

function blockNumbers(blocks: Blocks, count: number, name: string): readonly number[] {
  if ("quartile" in blocks) {
    const begin = Math.floor(((blocks.quartile - 1) * count) / 4);
    return range(begin, Math.floor((blocks.quartile * count) / 4) - 1);
  }
  if (!("from" in blocks)) return blocks;
  const { from, to = Math.max(from, count - 1) } = blocks;
  if (from > to) throw invalidArgument(`${name}.blocks.to`, `a block from ${from} on`, to);
  // For an end that is out of range, only the end is returned, which then throws BLOCK_OUT_OF_RANGE.
  return to < count ? range(from, to) : [to];
}

function requireNumber(kind: "block" | "head", number: number, count: number, name: string): void {
  if (Number.isInteger(number) && number >= 0 && number < count) return;
  throw new AttentionBypassError(
    kind === "block" ? "BLOCK_OUT_OF_RANGE" : "HEAD_OUT_OF_RANGE",
    `expected ${kind} numbers from 0 to ${count - 1} for ${name} but received ${number}`,
  );
}

function requireOnce(kind: "block" | "head", number: number, duplicate: boolean, name: string): void {
  if (!duplicate) return;
  throw new AttentionBypassError(
    kind === "block" ? "BLOCK_DUPLICATE" : "HEAD_DUPLICATE",
    `expected each ${kind} once for ${name} but received ${number} twice`,
  );
}

/** Returns a block's mean output as the addon takes it: of attention (`blocks`) or of the MLP (`mlps`). */
function meanOf(
  means: BypassMeans | undefined,
  field: keyof BypassMeans,
  block: number,
  { blockCount, hiddenSize }: ModelConfig,
  name: string,
): Float32Array {
  if (means === undefined) throw invalidArgument(`${name}.means`, 'the means that the mode "mean" requires', means);
  const place = `${name}.means.${field}[${block}]`;
  return reading(place, () => {
    const rows = means[field];
    if (rows === undefined) {
      throw invalidArgument(`${name}.means.${field}`, 'the MLP means that the mode "mean" requires', rows);
    }
    const values = rows[block];
    if (rows.length !== blockCount || values?.length !== hiddenSize) {
      const expected = `${blockCount} rows of ${hiddenSize} numbers`;
      const received = `${rows.length} rows, row ${block} with ${values?.length ?? 0} numbers`;
      throw new AttentionBypassError(
        "INVALID_ARGUMENT",
        `expected ${expected} for ${name}.means.${field} but received ${received}`,
      );
    }
    const mean = new Float32Array(hiddenSize);
    for (let index = 0; index < hiddenSize; index++) {
      const value: unknown = values[index];
      if (typeof value !== "number" || !Number.isFinite(Math.fround(value))) {
        throw invalidArgument(place, "finite numbers", value);
      }
      mean[index] = value;
    }
    return mean;
  });
}

/**
 * Returns all rows of `means` as the addon takes them: those of attention, then those of the MLPs. Throws
 * INVALID_ARGUMENT.
 */
export function meanRows(means: BypassMeans, config: ModelConfig, name: string): Float32Array[] {
  const fields = means.mlps === undefined ? (["blocks"] as const) : (["blocks", "mlps"] as const);
  return fields.flatMap((field) =>
    Array.from({ length: config.blockCount }, (_, block) => meanOf(means, field, block, config, name)),
  );
}

/** Returns whether a plan does not change a block. */
export const isPlain = ({ mode, mlpMode }: NativeBlockBypass): boolean => mode === "none" && mlpMode === "none";

/** Returns a plan that bypasses nothing. */
export function plainPlan({ blockCount }: ModelConfig): NativePlan {
  return Array.from({ length: blockCount }, () => ({
    mode: "none",
    heads: new Uint8Array(),
    mean: new Float32Array(),
    mlpMode: "none",
    mlpMean: new Float32Array(),
  }));
}

/**
 * Returns the bypass as the addon takes it. `name` is used in error messages. Throws INVALID_ARGUMENT,
 * BLOCK_OUT_OF_RANGE, BLOCK_DUPLICATE, HEAD_OUT_OF_RANGE, HEAD_DUPLICATE.
 */
export function toPlan(bypass: unknown, config: ModelConfig, name = "bypass"): NativePlan {
  const plan = plainPlan(config);
  if (bypass === undefined) return plan;
  const { blocks, heads, part = "attention", mode = "zero", means } = validate(bypassSchema, bypass, name);
  if (mode === "short-circuit" && part !== "attention") {
    throw invalidArgument(
      `${name}.mode`,
      `"zero" or "mean" with the part "${part}", since only attention can be short-circuited,`,
      mode,
    );
  }
  if (heads !== undefined && part !== "attention") {
    throw invalidArgument(`${name}.part`, '"attention", since heads are given,', part);
  }
  if (blocks === undefined && heads === undefined) throw invalidArgument(name, "blocks or heads", bypass);
  const { blockCount, headCount } = config;
  const bypassBlock = (block: number, place: string): NativeBlockBypass => {
    requireNumber("block", block, blockCount, place);
    const changed = plan[block] as NativeBlockBypass;
    requireOnce("block", block, !isPlain(changed), place);
    if (part !== "mlp") {
      changed.mode = mode;
      if (mode === "mean") changed.mean = meanOf(means, "blocks", block, config, name);
    }
    if (part !== "attention") {
      changed.mlpMode = mode;
      if (mode === "mean") changed.mlpMean = meanOf(means, "mlps", block, config, name);
    }
    return changed;
  };
  for (const block of blockNumbers((blocks as Blocks | undefined) ?? [], blockCount, name)) {
    bypassBlock(block, `${name}.blocks`);
  }
  for (const [key, numbers] of Object.entries(heads ?? {})) {
    const place = `${name}.heads[${key}]`;
    if (String(Number(key)) !== key) throw invalidArgument(`${name}.heads`, "block numbers as keys", key);
    if (numbers.length === 0) continue;
    const changed = bypassBlock(Number(key), `${name}.heads`);
    changed.heads = new Uint8Array(headCount);
    for (const head of numbers) {
      requireNumber("head", head, headCount, place);
      requireOnce("head", head, changed.heads[head] !== 0, place);
      changed.heads[head] = 1;
    }
  }
  return plan;
}
