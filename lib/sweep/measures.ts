import { encodeTasks, toBenchmarkResult } from "../benchmark/benchmark.js";
import type { EncodedTask, Task } from "../benchmark/task.js";
import { invalidArgument } from "../errors/validation.js";
import { readScorable, toMemorizationResult, toScoredRows } from "../metrics/memorization.js";
import type { MemorizationMetric } from "../metrics/memorization-scores.js";
import { toPerplexity, toWindows } from "../metrics/perplexity.js";
import type { RowScores, ScoredRow } from "../scoring/scored-row.js";
import type { Session } from "../session/session.js";
import type { CheckedSweepOptions } from "./options.js";
import type { SweepScores } from "./result.js";

/** The rows that a sweep scores: those of the samples, of the text, and of the tasks. */
export interface Measures {
  samples: ScoredRow[];
  windows: ScoredRow[];
  tasks: EncodedTask[];
}

/** Reads and encodes the samples, the text and the tasks of a sweep. */
export async function readMeasures(session: Session, checked: CheckedSweepOptions): Promise<Measures> {
  const { samples, text, tasks = [] } = checked;
  if (samples === undefined && text === undefined && tasks.length === 0) {
    throw invalidArgument("options", "samples, text or tasks", checked);
  }
  return {
    samples: samples === undefined ? [] : toScoredRows(await readScorable(samples, checked, session), checked.metrics),
    windows: text === undefined ? [] : await toWindows(text, checked, session),
    tasks: await encodeTasks(tasks as Task[], { signal: checked.signal }, session),
  };
}

/** Returns the measurements under one plan from the scores of all rows. */
export function toScores<Metric extends MemorizationMetric>(
  { samples, windows, tasks }: Measures,
  scores: readonly RowScores[],
  metrics: readonly Metric[],
  epsilon: number,
): SweepScores<Metric> {
  const remaining = [...scores];
  const next = (count: number) => remaining.splice(0, count);
  const result: SweepScores<Metric> = {};
  if (samples.length > 0) result.memorization = toMemorizationResult(samples, next(samples.length), metrics, epsilon);
  if (windows.length > 0) result.perplexity = toPerplexity(windows, next(windows.length));
  if (tasks.length > 0) {
    result.tasks = toBenchmarkResult(tasks, remaining);
  }
  return result;
}
