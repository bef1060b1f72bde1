import type { MemorizationMetric } from "../metrics/memorization-scores.js";
import { type MeasuredRevision, measuredRevisions, type RevisionsResult } from "../revisions/result.js";
import { Bootstrap, type Interval } from "../statistics/bootstrap.js";
import { mean } from "../statistics/statistics.js";
import type { SweepScores, SweptVariant } from "../sweep/result.js";
import { chances, memorizationMetric } from "./remaining.js";
import { accuracyInterval, memorizationInterval } from "./tables.js";

/** The name of the unmodified model among the bypasses. */
export const noBypass = "no bypass";

/** The measurements of one revision under one bypass, or without one. */
export interface TrainingPoint {
  revision: string;
  step: number | undefined;
  /** The name of the bypass, with its mode if the sweep has several, or `noBypass`. */
  bypass: string;
  /** The mean of the memorization metric. */
  memorization: Interval | undefined;
  /** The accuracy, a mean over tasks. */
  accuracy: Interval | undefined;
  tasks: { name: string; accuracy: Interval }[];
  perplexity: number | undefined;
}

/** The measurements of all revisions. */
export interface OverTraining {
  /** The metric that is shown as memorization. */
  metric: MemorizationMetric | undefined;
  /** The names of the bypasses, without `noBypass`. */
  bypasses: string[];
  points: TrainingPoint[];
  /** The accuracy by chance on each task. */
  chance: Record<string, number>;
}

/** Returns the names of the bypasses of a sweep. The mode is part of a name only if there are several. */
function bypassNames(variants: readonly SweptVariant[]): string[] {
  const several = new Set(variants.map(({ mode }) => mode)).size > 1;
  return variants.map(({ name, mode }) => (several ? `${name}, ${mode}` : name));
}

function pointsOf({ name, step, sweep }: MeasuredRevision, bootstrap: Bootstrap): TrainingPoint[] {
  const point = (bypass: string, scores: SweepScores): TrainingPoint => {
    return {
      revision: name,
      step,
      bypass,
      memorization: memorizationInterval(scores, bootstrap),
      accuracy: accuracyInterval(scores, bootstrap),
      tasks: Object.entries(scores.tasks ?? {}).map(([task, own]) => ({
        name: task,
        accuracy: accuracyInterval({ tasks: { [task]: own } }, bootstrap) as Interval,
      })),
      perplexity: scores.perplexity?.perplexity,
    };
  };
  const names = bypassNames(sweep.variants);
  return [
    point(noBypass, sweep.base),
    ...sweep.variants.map((variant, index) => point(names[index] as string, variant)),
  ];
}

/** Computes the measurements of all revisions with their intervals. Revisions with doubled weights are not in them. */
export function overTraining(result: RevisionsResult): OverTraining {
  const measured = measuredRevisions(result);
  const [first] = measured as [MeasuredRevision, ...MeasuredRevision[]];
  const bootstrap = new Bootstrap();
  return {
    metric: memorizationMetric(first.sweep.base),
    bypasses: bypassNames(first.sweep.variants),
    points: measured.flatMap((revision) => pointsOf(revision, bootstrap)),
    chance: Object.fromEntries(
      Object.entries(first.sweep.base.tasks ?? {}).map(([name, task]) => [name, mean(chances(task))]),
    ),
  };
}
