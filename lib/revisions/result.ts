import type { DefaultMemorizationMetric, MemorizationMetric } from "../metrics/memorization-scores.js";
import type { SweepResult } from "../sweep/result.js";
import type { WeightHash } from "./checkpoints.js";

/**
 * One checkpoint of a training with its sweep. A checkpoint whose weight files are those of an earlier one in the list
 * was not measured again: it has no `sweep`, and `sameWeightsAs` is the name of that one.
 */
export interface SweptRevision<Metric extends MemorizationMetric = DefaultMemorizationMetric> {
  /** The name of the revision on the hub or of the folder, such as "step1000". */
  name: string;
  /** The training step in the name. Absent if the name has none, as "main". */
  step?: number;
  /** The commit on the hub. Absent for a folder. */
  commit?: string;
  /** The weight files with their hashes, which were compared before any download. */
  weights: WeightHash[];
  /** The result of the sweep. Absent if `sameWeightsAs` is present. */
  sweep?: SweepResult<Metric>;
  /** The name of the measured revision with the same weight files. */
  sameWeightsAs?: string;
}

/** The result of `sweepRevisions`, as plain data. */
export interface RevisionsResult<Metric extends MemorizationMetric = DefaultMemorizationMetric> {
  /** The format of this result. */
  format: "attention-bypass revisions, 1";
  /** The model's id on the hub, or the folder of the checkpoints. */
  model: string;
  /** The checkpoints in the order of their training steps. Checkpoints without a step come last. */
  revisions: SweptRevision<Metric>[];
}

/** The format of the results, which changes if a field changes its meaning. */
export const revisionsFormat: RevisionsResult["format"] = "attention-bypass revisions, 1";

/** The result of sweeping revisions with any set of metrics. */
export type AnyRevisionsResult = RevisionsResult<never>;

/** A revision that was measured. */
export type MeasuredRevision = SweptRevision & { sweep: SweepResult };

/** Returns the revisions that were measured, each with different weights. */
export function measuredRevisions({ revisions }: RevisionsResult): MeasuredRevision[] {
  return revisions.filter((revision): revision is MeasuredRevision => revision.sweep !== undefined);
}

/** Returns the revisions whose weights are those of another one. */
export function doubledRevisions({ revisions }: RevisionsResult): (SweptRevision & { sameWeightsAs: string })[] {
  return revisions.filter(
    (revision): revision is SweptRevision & { sameWeightsAs: string } => revision.sameWeightsAs !== undefined,
  );
}
