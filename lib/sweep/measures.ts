import { encodeTasks, toBenchmarkResult } from "../benchmark/benchmark.js";
import type { EncodedTask, Task } from "../benchmark/task.js";
import { AttentionBypassError } from "../errors/errors.js";
import { invalidArgument } from "../errors/validation.js";
import { type MemorizationMetric, readScorable, toMemorizationResult, toScoredRows } from "../metrics/memorization.js";
import { toPerplexity, toWindows } from "../metrics/perplexity.js";
import type { RowScores, ScoredRow } from "../scoring/scored-row.js";
import type { Session } from "../session/session.js";
import type { CheckedSweepOptions } from "./options.js";
import type { SweepScores } from "./result.js";

/** The rows that a sweep scores: those of the samples, of the control, of the text, and of the tasks. */
export interface Measures {
  samples: ScoredRow[];
  control: ScoredRow[];
  windows: ScoredRow[];
  tasks: EncodedTask[];
}

/** Throws INVALID_ARGUMENT if a control row is one of the samples, which can't be compared with itself. */
function requireDifferent(samples: readonly ScoredRow[], control: readonly ScoredRow[]): void {
  const places = new Map(samples.map(({ tokens }, index) => [tokens.join(), index]));
  for (const [index, { tokens }] of control.entries()) {
    const same = places.get(tokens.join());
    if (same === undefined) continue;
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected control rows that are not among the samples but row ${index} of the control is row ${same} of the ` +
        "samples; remove it from one of them",
    );
  }
}

/** Reads and encodes the samples, the control, the text and the tasks of a sweep. */
export async function readMeasures(session: Session, checked: CheckedSweepOptions): Promise<Measures> {
  const { samples, control, text, tasks = [] } = checked;
  if (samples === undefined && text === undefined && tasks.length === 0) {
    throw invalidArgument("options", "samples, text or tasks", checked);
  }
  if (control !== undefined && samples === undefined) {
    throw invalidArgument("options.samples", "the samples that the control is compared with", samples);
  }
  const read = async (rows: unknown, name: string) =>
    rows === undefined ? [] : toScoredRows(await readScorable(rows, { ...checked, name }, session), checked.metrics);
  const [memorized, compared] = [await read(samples, "samples"), await read(control, "control")];
  requireDifferent(memorized, compared);
  return {
    samples: memorized,
    control: compared,
    windows: text === undefined ? [] : await toWindows(text, checked, session),
    tasks: await encodeTasks(tasks as Task[], { signal: checked.signal }, session),
  };
}

/** Returns the measurements under one plan from the scores of all rows. */
export function toScores<Metric extends MemorizationMetric>(
  { samples, control, windows, tasks }: Measures,
  scores: readonly RowScores[],
  metrics: readonly Metric[],
): SweepScores<Metric> {
  const remaining = [...scores];
  const next = (count: number) => remaining.splice(0, count);
  const result: SweepScores<Metric> = {};
  if (samples.length > 0) result.memorization = toMemorizationResult(samples, next(samples.length), metrics);
  if (control.length > 0) result.control = toMemorizationResult(control, next(control.length), metrics);
  if (windows.length > 0) result.perplexity = toPerplexity(windows, next(windows.length));
  if (tasks.length > 0) {
    result.tasks = toBenchmarkResult(tasks, remaining);
  }
  return result;
}
