import type { MemorizationMetric } from "../metrics/memorization-scores.js";
import type { SweepResult } from "../sweep/result.js";

/** The memorization metrics of the experiment: those of the paper, and those in which control rows can lose as much. */
export const paperMetrics = [
  "exactMatch",
  "tokenAccuracy",
  "completionEntropy",
  "teacherForcedAccuracy",
  "suffixLogLikelihood",
] as const satisfies readonly MemorizationMetric[];

/** A metric of the experiment. */
export type PaperMetric = (typeof paperMetrics)[number];

/** One model of the experiment with its measurements. */
export interface MeasuredModel {
  /** The name of the model in reports. */
  name: string;
  /** The path or the name on the hub that the model was loaded from. */
  model: string;
  /** The number of parameters, computed from the model's sizes. */
  parameters: number;
  /**
   * The sweep of the model: attention of each block and each quarter of the blocks in each mode, and the MLPs of the
   * same blocks.
   */
  sweep: SweepResult<PaperMetric>;
}

/** The result of `reproducePaper`, as plain data. */
export interface PaperResult {
  /** The format of this result. */
  format: "attention-bypass paper, 1";
  /** The models, in the order in which they were given. */
  models: MeasuredModel[];
}

/** The format of the results, which changes if a field changes its meaning. */
export const paperFormat: PaperResult["format"] = "attention-bypass paper, 1";
