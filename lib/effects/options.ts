import * as v from "valibot";
import { type Bypass, type BypassMeans, toPlan } from "../bypass/bypass.js";
import { invalidArgument, longCall, validate, wholeNumber } from "../errors/validation.js";
import type { ModelConfig } from "../families/config.js";
import type { OperationOptions } from "../operation/operation.js";
import { type CheckedSweepOptions, sweepOptions } from "../sweep/options.js";
import type { SweptBlocks, SweptModes, SweptParts } from "../sweep/variants.js";

/** Options of `model.effects`: one bypass, or several as in a sweep. */
export interface EffectsOptions extends OperationOptions {
  /** The bypass to measure. Either this or `over`. */
  bypass?: Bypass;
  /**
   * The bypasses to measure: a family, or a list of families and bypasses. Defaults to "blocks", each block by itself.
   */
  over?: SweptBlocks;
  /** The part of the blocks of `over` to bypass, or several, as in a sweep. Defaults to "attention". */
  part?: SweptParts;
  /** The mode of the bypasses of `over`, or several, as in a sweep. Defaults to "zero". */
  mode?: SweptModes;
  /** The mean outputs for the mode "mean". Required for that mode, except by bypasses with their own `means`. */
  means?: BypassMeans;
  /** The number of tokens at the beginning of each row that form the prefix. Required unless the samples contain it. */
  prefixLength?: number;
  /** Measure only this many rows, from the first on. Defaults to all. */
  rows?: number;
  /**
   * The memory budget of the call in bytes, in addition to the weights. Results depend on it only by rounding. Defaults
   * to 1 GiB on the CPU, or half of the available memory if that is less, and to half of the free memory of a CUDA
   * device.
   */
  memory?: number;
}

const { over, part, mode, means, prefixLength, rows } = sweepOptions.entries;

const schema = v.strictObject({
  ...longCall,
  bypass: v.optional(v.unknown()),
  // Their defaults are those of a sweep.
  over: v.optional(over),
  part: v.optional(part),
  mode: v.optional(mode),
  means,
  prefixLength,
  rows,
  memory: v.optional(wholeNumber(1)),
});

/** Returns the options as those of a sweep that scores the suffixes of these samples. */
export function toSweepOptions(samples: unknown, options: unknown, config: ModelConfig): CheckedSweepOptions {
  const { bypass, ...checked } = validate(schema, options, "options");
  if (bypass !== undefined) {
    toPlan(bypass, config, "options.bypass");
    for (const name of ["over", "part", "mode", "means"] as const) {
      if (checked[name] === undefined) continue;
      throw invalidArgument(`options.${name}`, "no value with options.bypass", checked[name]);
    }
  }
  return validate(
    sweepOptions,
    { ...checked, ...(bypass !== undefined && { over: [bypass] }), samples, metrics: ["suffixLogLikelihood"] },
    "options",
  );
}
