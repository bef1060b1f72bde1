import { types } from "node:util";
import * as v from "valibot";
import type { NativeBlockBypass, NativePlan } from "../addon/native.js";
import { AttentionBypassError } from "../errors/errors.js";
import { invalidArgument, reading, validate, wholeNumber } from "../errors/validation.js";
import type { ModelConfig } from "../families/config.js";

/**
 * Blocks by their numbers from 0; by quarter of the stack, of which 1 is next to the input; or from one to another, both
 * included, or to the last.
 */
export type Blocks = readonly number[] | { quartile: 1 | 2 | 3 | 4 } | { from: number; to?: number };

/** Heads by block, both by their numbers from 0: `{ 3: [0, 5] }`. */
export type Heads = Readonly<Record<number, readonly number[]>>;

export const bypassParts = ["attention", "mlp", "both"] as const;

/** The part of a block that is bypassed: its attention, its MLP, or both. */
export type BypassPart = (typeof bypassParts)[number];

export const bypassModes = ["zero", "short-circuit", "mean"] as const;

/**
 * What replaces the output of a bypassed part. "zero": nothing is added to the residual stream, and nothing is computed.
 * "short-circuit", for attention only: each token attends only to itself, which leaves the output projection of its own
 * value. "mean": every token gets the same output, a mean that was measured before.
 */
export type BypassMode = (typeof bypassModes)[number];

/** Mean outputs of the blocks' parts, over tokens. `model.attention` measures them on samples. */
export interface BypassMeans {
  /** Mean head outputs, one row for each block: the outputs of its heads side by side, before the output projection. */
  readonly blocks: readonly ArrayLike<number>[];
  /** Mean MLP outputs, one row for each block. Required to bypass an MLP with the mode "mean". */
  readonly mlps?: readonly ArrayLike<number>[];
}

/**
 * What to bypass: blocks, single heads, or both. Calls with one throw BLOCK_OUT_OF_RANGE, BLOCK_DUPLICATE,
 * HEAD_OUT_OF_RANGE and HEAD_DUPLICATE.
 */
export interface Bypass {
  /** The blocks of which `part` is bypassed as a whole, including the bias of the attention's output projection. */
  blocks?: Blocks;
  /** Single attention heads of other blocks. The bias of the output projection belongs to no head and stays. */
  heads?: Heads;
  /** The part of `blocks` to bypass. With "both" and the mode "zero", a block adds nothing. Defaults to "attention". */
  part?: BypassPart;
  /** What replaces the output. "short-circuit" requires the part "attention". Defaults to "zero". */
  mode?: BypassMode;
  /** The mean outputs. Required for the mode "mean". */
  means?: BypassMeans;
}

/** Lists of numbers of any kind and realm; that each is a number is looked at where it is used. */
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
  // A number that is out of range is refused like one in a list, without the numbers before it.
  return to < count ? range(from, to) : [to];
}

function requireNumber(kind: "block" | "head", number: number, count: number, name: string): void {
  if (Number.isInteger(number) && number >= 0 && number < count) return;
  throw new AttentionBypassError(
    kind === "block" ? "BLOCK_OUT_OF_RANGE" : "HEAD_OUT_OF_RANGE",
    `expected ${kind} numbers from 0 to ${count - 1} for ${name} but received ${number}`,
  );
}

function requireOnce(kind: "block" | "head", number: number, before: boolean, name: string): void {
  if (!before) return;
  throw new AttentionBypassError(
    kind === "block" ? "BLOCK_DUPLICATE" : "HEAD_DUPLICATE",
    `expected each ${kind} once for ${name} but received ${number} twice`,
  );
}

/** A block's mean as the addon takes it. field: whose mean, the attention's or the MLP's. */
function meanOf(
  means: BypassMeans | undefined,
  field: keyof BypassMeans,
  block: number,
  { blockCount, hiddenSize }: ModelConfig,
  name: string,
): Float32Array {
  if (means === undefined) throw invalidArgument(`${name}.means`, 'the means that the mode "mean" needs', means);
  const place = `${name}.means.${field}[${block}]`;
  return reading(place, () => {
    const rows = means[field];
    if (rows === undefined) {
      throw invalidArgument(`${name}.means.${field}`, 'the means of MLPs that the mode "mean" needs', rows);
    }
    const values = rows[block];
    if (rows.length !== blockCount || values?.length !== hiddenSize) {
      const expected = `${blockCount} blocks of ${hiddenSize} numbers each`;
      const received = `${rows.length} of ${values?.length ?? "none"}`;
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

/** All means as the addon takes them, whether they are needed or not. Throws INVALID_ARGUMENT. */
export function meanRows(means: BypassMeans, config: ModelConfig, name: string): Float32Array[] {
  const fields = means.mlps === undefined ? (["blocks"] as const) : (["blocks", "mlps"] as const);
  return fields.flatMap((field) =>
    Array.from({ length: config.blockCount }, (_, block) => meanOf(means, field, block, config, name)),
  );
}

/** Whether a plan leaves a block as it is. */
export const isPlain = ({ mode, mlpMode }: NativeBlockBypass): boolean => mode === "none" && mlpMode === "none";

/** A plan that bypasses nothing. */
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
 * The bypass as the addon takes it; `name` is what messages call it. Throws INVALID_ARGUMENT, BLOCK_OUT_OF_RANGE, BLOCK_DUPLICATE, HEAD_OUT_OF_RANGE,
 * HEAD_DUPLICATE.
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
    throw invalidArgument(`${name}.part`, '"attention" with heads, which are parts of it,', part);
  }
  if (blocks === undefined && heads === undefined) throw invalidArgument(name, "blocks or heads", bypass);
  const { blockCount, headCount } = config;
  const take = (block: number, place: string): NativeBlockBypass => {
    requireNumber("block", block, blockCount, place);
    const taken = plan[block] as NativeBlockBypass;
    requireOnce("block", block, !isPlain(taken), place);
    if (part !== "mlp") {
      taken.mode = mode;
      if (mode === "mean") taken.mean = meanOf(means, "blocks", block, config, name);
    }
    if (part !== "attention") {
      taken.mlpMode = mode;
      if (mode === "mean") taken.mlpMean = meanOf(means, "mlps", block, config, name);
    }
    return taken;
  };
  for (const block of blockNumbers((blocks as Blocks | undefined) ?? [], blockCount, name)) {
    take(block, `${name}.blocks`);
  }
  for (const [key, numbers] of Object.entries(heads ?? {})) {
    const place = `${name}.heads[${key}]`;
    if (String(Number(key)) !== key)
      throw invalidArgument(`${name}.heads`, "heads by the numbers of their blocks", key);
    if (numbers.length === 0) continue;
    const taken = take(Number(key), `${name}.heads`);
    taken.heads = new Uint8Array(headCount);
    for (const head of numbers) {
      requireNumber("head", head, headCount, place);
      requireOnce("head", head, taken.heads[head] !== 0, place);
      taken.heads[head] = 1;
    }
  }
  return plan;
}
