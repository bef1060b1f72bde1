import type { TaskScores } from "../benchmark/task.js";
import type { BlockAttention } from "../measure/attention.js";
import type { SurveyedBypass } from "../measure/survey.js";
import type { MemorizationMetric, MemorizationResult } from "../metrics/memorization.js";
import type { Perplexity } from "../metrics/perplexity.js";
import type { PrecisionDifference } from "../scoring/precision.js";
import type { SweepSettings } from "./settings.js";
import type { Variant } from "./variants.js";

/** What is measured of the model under one bypass. What was not asked for is not there. */
export interface SweepScores<Metric extends MemorizationMetric = MemorizationMetric> {
  /** Of the samples. */
  memorization?: MemorizationResult<Metric>;
  /** Of the text. */
  perplexity?: Perplexity;
  /** Of each task, by its name. */
  tasks?: Record<string, TaskScores>;
}

/** What is measured under a bypass. */
export type SweptVariant<Metric extends MemorizationMetric = MemorizationMetric> = Variant &
  SweepScores<Metric> & {
    /** Of a sweep with a survey. */
    divergence?: SurveyedBypass;
  };

/** What `model.sweep` gives, as plain data. */
export interface SweepResult<Metric extends MemorizationMetric = MemorizationMetric> {
  /** The unmodified model. */
  base: SweepScores<Metric>;
  /** Each bypass, in the order of `over`, once for each mode. */
  variants: SweptVariant<Metric>[];
  /** What each block's attention adds, by the survey. */
  attention?: BlockAttention[];
  /** How far that is from float32; only where the model is not float32. */
  precision?: PrecisionDifference;
  /** All that decides the numbers. */
  settings: SweepSettings;
  /** What it took, earlier sessions of a resumed sweep included. */
  cost: {
    /** Of wall-clock time. */
    seconds: number;
    /** Floating-point operations of the matrix products; multiplying and adding are two. */
    operations: number;
    /** The budget, in bytes. */
    memory: number;
    /** Version of Node. */
    node: string;
  };
}

/** The result of a sweep, of whatever metrics. */
export type AnySweepResult = SweepResult<never>;
