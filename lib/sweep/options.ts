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

/** Options of `model.sweep`: what to bypass, and what to measure; of samples, a text and tasks at least one. */
export interface SweepOptions<Metric extends MemorizationMetric = MemorizationMetric> extends OperationOptions {
  /** The blocks to bypass, one set after the other. Defaults to "blocks": each alone. */
  over?: SweptBlocks;
  /** The part of the blocks to bypass where a bypass does not say one, or several parts for each of these. Heads are always
   * parts of attention. Defaults to "attention". */
  part?: SweptParts;
  /** The mode of the bypasses that do not say one themselves, or several modes for each of them. Defaults
   * to "zero". */
  mode?: SweptModes;
  /** Of the mode "mean", for the bypasses that have none themselves. */
  means?: BypassMeans;
  /** What may be memorized, as `scoreMemorization` takes it. */
  samples?: Samples;
  /** Tokens at the beginning of each sample that the model is given. Not needed where samples say it themselves. */
  prefixLength?: number;
  /** Take the first rows of the samples alone. Defaults to all. */
  rows?: number;
  /** What to measure of the samples. Defaults to everything. */
  metrics?: readonly Metric[];
  /** Of the sampling that `extractionProbability` is about. Defaults to 1. */
  temperature?: number;
  /** That sampling is among this many most probable tokens. Defaults to all. */
  topK?: number;
  /** A text to take the perplexity of, as `perplexity` takes it. */
  text?: string | Tokens | TextFile;
  /** The most tokens of the text that the model sees at once. Defaults to the model's context. */
  contextLength?: number;
  /** How many new tokens each window of the text scores after the first. Defaults to half of `contextLength`. */
  stride?: number;
  /** A token to put before the text, so that its first token has a prediction too. */
  beginningToken?: number;
  /** Questions to answer, by task. */
  tasks?: readonly Task[];
  /**
   * Bytes that may be taken beside the weights; results do not depend on them beyond rounding. Defaults to 1 GiB on
   * the CPU or half of what is available, whichever is less, and to half of what is free on a CUDA device.
   */
  memory?: number;
  /**
   * How many of the samples, or of the text's windows or the tasks' rows where there are no samples, are also taken to
   * find out what attention adds and how far each bypass takes the model from itself. Defaults to 0.
   */
  survey?: number;
  /** Of a model that is not float32: rows that are scored in float32 too. Defaults to one of 64, at least one. */
  compareRows?: number;
  /** A file that keeps what is done. A sweep that finds it there goes on where it was. */
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
  text: v.optional(v.unknown()),
  tasks: v.optional(v.pipe(v.array(taskSchema), v.nonEmpty("at least one task"))),
  memory: v.optional(wholeNumber(1)),
  survey: v.optional(wholeNumber(0), 0),
  compareRows: v.optional(wholeNumber(0)),
  resume: v.optional(pathText),
});

export type CheckedSweepOptions = v.InferOutput<typeof sweepOptions>;
