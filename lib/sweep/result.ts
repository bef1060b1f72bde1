import type { TaskScores } from "../benchmark/task.js";
import type { BlockAttention } from "../measure/attention.js";
import type { SurveyedBypass } from "../measure/survey.js";
import type { MemorizationMetric, MemorizationResult } from "../metrics/memorization.js";
import type { Perplexity } from "../metrics/perplexity.js";
import type { PrecisionDifference } from "../scoring/precision.js";
import type { SweepSettings } from "./settings.js";
import type { Variant } from "./variants.js";

/** The measurements under one bypass. Measurements that the sweep did not include are absent. */
export interface SweepScores<Metric extends MemorizationMetric = MemorizationMetric> {
  /** The memorization metrics of the samples. */
  memorization?: MemorizationResult<Metric>;
  /** The same metrics of the control rows. */
  control?: MemorizationResult<Metric>;
  /** The perplexity of the text. */
  perplexity?: Perplexity;
  /** The scores of each task, by task name. */
  tasks?: Record<string, TaskScores>;
}

/** One bypass of a sweep with its measurements. */
export type SweptVariant<Metric extends MemorizationMetric = MemorizationMetric> = Variant &
  SweepScores<Metric> & {
    /** How much the bypass changes the model. Only if the sweep has the option `survey`. */
    divergence?: SurveyedBypass;
  };

/** The result of `model.sweep`, as plain data. */
export interface SweepResult<Metric extends MemorizationMetric = MemorizationMetric> {
  /** The measurements of the unmodified model. */
  base: SweepScores<Metric>;
  /** Each bypass with its measurements, in the order of `over`, once for each part and mode. */
  variants: SweptVariant<Metric>[];
  /** The attention output of each block. Only if the sweep has the option `survey`. */
  attention?: BlockAttention[];
  /** How much the scores differ from those in float32. Only if the model's dtype is not float32. */
  precision?: PrecisionDifference;
  /** Everything that determines the measurements. */
  settings: SweepSettings;
  /** The cost of the sweep, including earlier runs of a resumed sweep. */
  cost: {
    /** The wall-clock time in seconds. */
    seconds: number;
    /**
     * The number of floating-point operations of the matrix products. A multiplication with an addition counts as two.
     */
    operations: number;
    /** The memory budget in bytes, in addition to the weights. */
    memory: number;
    /** The version of Node.js. */
    node: string;
  };
}

/** The result of a sweep with any set of metrics. */
export type AnySweepResult = SweepResult<never>;
