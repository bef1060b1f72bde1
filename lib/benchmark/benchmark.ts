import * as v from "valibot";
import { type Bypass, toPlan } from "../bypass/bypass.js";
import { invalidArgument, longCall, pathText, reading, validate, wholeNumber } from "../errors/validation.js";
import type { OperationOptions } from "../operation/operation.js";
import { scoreRows } from "../scoring/rescoring.js";
import type { RowScores } from "../scoring/scored-row.js";
import { plainSampling } from "../scoring/scoring.js";
import { defaultMemory } from "../session/memory-budget.js";
import type { Session } from "../session/session.js";
import { type EncodedTask, encodeTask, type Task, type TaskScores, taskSchema, toTaskScores } from "./task.js";

/** Options of `model.benchmark`. */
export interface BenchmarkOptions extends OperationOptions {
  /** The folder with the rows of tasks that are given by name, or the file of the only one. */
  data?: string;
  /** The number of rows, from the first on, of each task that is given by name. Defaults to all. */
  rows?: number;
  /** What to bypass. Defaults to nothing. */
  bypass?: Bypass;
  /** Bytes of memory that the call may take in addition to the weights, as in `MemorizationOptions`. */
  memory?: number;
}

/** The scores of each task, by its name. */
export type BenchmarkResult = Record<string, TaskScores>;

const taskOrName = v.union([pathText, taskSchema], "a task's name, { name, questions } or { definition, data, rows? }");

const taskList = v.pipe(v.array(taskOrName), v.nonEmpty("at least one task"));

const schema = v.strictObject({
  ...longCall,
  data: v.optional(pathText),
  rows: v.optional(wholeNumber(1)),
  bypass: v.optional(v.unknown()),
  memory: v.optional(wholeNumber(1)),
});

/** Reads tasks, whose names must differ. */
export async function encodeTasks(
  tasks: readonly (string | Task)[],
  { data, rows, signal }: { data?: string | undefined; rows?: number | undefined; signal?: AbortSignal | undefined },
  session: Session,
): Promise<EncodedTask[]> {
  const encoded: EncodedTask[] = [];
  for (const task of tasks) {
    if (typeof task === "string" && data === undefined) {
      throw invalidArgument("options.data", `the folder or file with the rows of ${task}`, data);
    }
    const own: Task =
      typeof task === "string" ? { definition: task, data: data as string, ...(rows !== undefined && { rows }) } : task;
    encoded.push(await encodeTask(own, session, signal));
  }
  const names = encoded.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw invalidArgument("tasks", "names that differ", twice);
  return encoded;
}

/** The scores of tasks whose rows stand one task after the other. */
export function toBenchmarkResult(tasks: readonly EncodedTask[], scores: readonly RowScores[]): BenchmarkResult {
  const left = [...scores];
  return Object.fromEntries(tasks.map((task) => [task.name, toTaskScores(task, left.splice(0, task.rows.length))]));
}

/** How well the model does at tasks, as the lm-evaluation-harness measures it. */
export async function benchmark(
  session: Session,
  tasks: string | Task | readonly (string | Task)[],
  options: BenchmarkOptions = {},
): Promise<BenchmarkResult> {
  const checked = validate(schema, options, "options");
  const list = validate(taskList, reading("tasks", () => Array.isArray(tasks)) ? tasks : [tasks], "tasks");
  const plan = toPlan(checked.bypass, session.config);
  const encoded = await encodeTasks(list as (string | Task)[], checked, session);
  const scores = await scoreRows(
    session,
    encoded.flatMap(({ rows }) => rows),
    [plan],
    {
      signal: checked.signal,
      onProgress: checked.onProgress,
      scheme: plainSampling,
      memory: checked.memory ?? defaultMemory(session),
    },
  );
  return toBenchmarkResult(
    encoded,
    scores.map(([only]) => only as RowScores),
  );
}
