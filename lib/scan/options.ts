import * as v from "valibot";
import { type Bypass, bypassSchema } from "../bypass/bypass.js";
import { longCall, pathText, wholeNumber } from "../errors/validation.js";
import { sampleFields } from "../metrics/memorization.js";
import type { OperationOptions } from "../operation/operation.js";

/** A distance between the beginnings of windows, in characters. */
export interface CharacterStride {
  /** The number of characters, in UTF-16 code units. A window begins at the first token from each n-th character on. */
  characters: number;
}

/** Options of `model.scan`. */
export interface ScanOptions extends OperationOptions {
  /** The number of tokens of a window that the model is given. Defaults to 50. */
  prefixLength?: number;
  /** The number of tokens of a window after the prefix, which are scored. Defaults to 50. */
  suffixLength?: number;
  /**
   * The distance between the beginnings of two windows: a number of tokens, or `{ characters }`. Defaults to 10 tokens.
   */
  stride?: number | CharacterStride;
  /** The bypasses to compare with the unmodified model. Defaults to none. */
  bypasses?: readonly Bypass[];
  /** The sampling temperature. Defaults to 1. */
  temperature?: number;
  /** Sample only from this many most probable tokens. Defaults to all. */
  topK?: number;
  /**
   * Windows whose extraction probability is at least this value form passages. Above 0, at most 1. Defaults to 0.001.
   */
  threshold?: number;
  /**
   * The memory budget in bytes, in addition to the weights. Results depend on it only by rounding. Defaults to 1 GiB on
   * the CPU, or half of the available memory if that is less, and to half of the free memory of a CUDA device.
   */
  memory?: number;
  /** The path of a file that saves scored windows. If it exists, the scan continues from it. Defaults to none. */
  resume?: string;
}

const { temperature, topK } = sampleFields;

export const scanOptions = v.strictObject({
  ...longCall,
  prefixLength: v.optional(wholeNumber(1), 50),
  suffixLength: v.optional(wholeNumber(1), 50),
  stride: v.optional(
    v.union(
      [wholeNumber(1), v.strictObject({ characters: wholeNumber(1) })],
      "a whole number of tokens from 1 up, or { characters } with one",
    ),
    10,
  ),
  bypasses: v.optional(v.array(bypassSchema), []),
  temperature,
  topK,
  threshold: v.optional(
    v.pipe(
      v.number(),
      v.check((value) => value > 0 && value <= 1, "a number above 0, at most 1,"),
    ),
    0.001,
  ),
  memory: v.optional(wholeNumber(1)),
  resume: v.optional(pathText),
});

export type CheckedScanOptions = v.InferOutput<typeof scanOptions>;
