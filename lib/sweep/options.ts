import * as v from "valibot";
import { type Task, taskSchema } from "../benchmark/task.js";
import { type BypassMeans, meansSchema } from "../bypass/bypass.js";
import type { Samples } from "../data/samples.js";
import type { TextFile } from "../data/text-argument.js";
import { longCall, pathText, wholeNumber } from "../errors/validation.js";
import { type MemorizationMetric, sampleFields } from "../metrics/memorization.js";
import { windowFields } from "../metrics/perplexity.js";
import type { OperationOptions } from "../operation/operation.js";
import type { Tokens } from "../tokenizer/tokens.js";
import { type SweptBlocks, type SweptModes, type SweptParts, sweptBlocks, sweptModes, sweptParts } from "./variants.js";

/**
 * Options of `model.sweep`: what to bypass and what to measure. At least one of `samples`, `text` and `tasks` is
 * required.
 */
export interface SweepOptions<Metric extends MemorizationMetric = MemorizationMetric> extends OperationOptions {
  /**
   * The bypasses to measure: a family, or a list of families and bypasses. Defaults to "blocks", each block by itself.
   */
  over?: SweptBlocks;
  /**
   * The part of the blocks to bypass. Several parts measure each bypass once for each part. Ignored by bypasses with
   * their own `part` and by bypasses of heads, which are parts of attention. Defaults to "attention".
   */
  part?: SweptParts;
  /**
   * The mode of the bypasses. Several modes measure each bypass once for each mode. Ignored by bypasses with their own
   * `mode`. Defaults to "zero".
   */
  mode?: SweptModes;
  /** The mean outputs for the mode "mean". Required for that mode, except by bypasses with their own `means`. */
  means?: BypassMeans;
  /** The samples to score, as for `scoreMemorization`. */
  samples?: Samples;
  /**
   * Control rows: samples in the form of `samples` that the model has not memorized, in any form that `samples` takes.
   * What a bypass removes from `samples` and not from these is memorization. `prefixLength`, `rows`, `metrics`,
   * `temperature` and `topK` apply to both. Requires `samples`. Defaults to none.
   */
  control?: Samples;
  /**
   * The number of tokens at the beginning of each sample that form the prefix. Required unless the samples contain it.
   */
  prefixLength?: number;
  /** Score only this many samples, and this many control rows, from the first on. Defaults to all. */
  rows?: number;
  /** The memorization metrics to measure. Defaults to all. */
  metrics?: readonly Metric[];
  /** The sampling temperature of `extractionProbability`. Defaults to 1. */
  temperature?: number;
  /** `extractionProbability` samples only from this many most probable tokens. Defaults to all. */
  topK?: number;
  /** The text whose perplexity is measured, as for `perplexity`. */
  text?: string | Tokens | TextFile;
  /** The number of tokens in a window of the text. Defaults to the model's context length. */
  contextLength?: number;
  /**
   * The number of tokens that each window of the text after the first one scores. Defaults to half of `contextLength`.
   */
  stride?: number;
  /**
   * The id of a token to put before the text, so that the first token of the text is predicted too. Defaults to none.
   */
  beginningToken?: number;
  /** The tasks to score, as for `benchmark`. Their names must differ. */
  tasks?: readonly Task[];
  /**
   * The memory budget in bytes, in addition to the weights. Results depend on it only by rounding. Defaults to 1 GiB on
   * the CPU, or half of the available memory if that is less, and to half of the free memory of a CUDA device.
   */
  memory?: number;
  /**
   * The number of rows on which attention outputs and the divergence of each bypass are measured too. These are the
   * first samples; without samples, the first windows of the text, or the first rows of the tasks. Defaults to 0.
   */
  survey?: number;
  /**
   * The number of rows that are scored in float32 too, to measure the effect of the dtype. Only for models in another
   * dtype. Defaults to one of 64 rows, at least one.
   */
  compareRows?: number;
  /** The path of a file that saves finished rows. If it exists, the sweep continues from it. Defaults to none. */
  resume?: string;
}

export const sweepOptions = v.strictObject({
  ...longCall,
  ...sampleFields,
  ...windowFields,
  over: sweptBlocks,
  part: sweptParts,
  mode: sweptModes,
  means: v.optional(meansSchema),
  samples: v.optional(v.unknown()),
  control: v.optional(v.unknown()),
  text: v.optional(v.unknown()),
  tasks: v.optional(v.pipe(v.array(taskSchema), v.nonEmpty("at least one task"))),
  memory: v.optional(wholeNumber(1)),
  survey: v.optional(wholeNumber(0), 0),
  compareRows: v.optional(wholeNumber(0)),
  resume: v.optional(pathText),
});

export type CheckedSweepOptions = v.InferOutput<typeof sweepOptions>;
