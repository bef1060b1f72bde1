import * as v from "valibot";
import { type Bypass, toPlan } from "../bypass/bypass.js";
import { invalidArgument, pathText, reading, validate, wholeNumber } from "../errors/validation.js";
import type { OperationOptions } from "../operation/operation.js";
import { oneBypass, scoreUnder } from "../scoring/one-bypass.js";
import type { RowScores } from "../scoring/scored-row.js";
import type { Session } from "../session/session.js";
import { type EncodedTask, encodeTask, type Task, type TaskScores, taskSchema, toTaskScores } from "./task.js";

/** Options of `model.benchmark`. */
export interface BenchmarkOptions extends OperationOptions {
  /**
   * The folder with the data files of the tasks that are given by name. With one such task, also the path of its file.
   */
  data?: string;
  /** Ask only this many rows, from the first on, of each task that is given by name. Defaults to all. */
  rows?: number;
  /** What to bypass. Defaults to nothing. */
  bypass?: Bypass;
  /** The memory budget of the call in bytes, in addition to the weights, as in `MemorizationOptions`. */
  memory?: number;
}

/** The scores of each task, by task name. */
export type BenchmarkResult = Record<string, TaskScores>;

const taskOrName = v.union([pathText, taskSchema], "a task's name, { name, questions } or { definition, data, rows? }");

const taskList = v.pipe(v.array(taskOrName), v.nonEmpty("at least one task"));

const schema = v.strictObject({
  ...oneBypass,
  data: v.optional(pathText),
  rows: v.optional(wholeNumber(1)),
});

/** Reads and encodes tasks. Throws INVALID_ARGUMENT if two have the same name. */
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
    const definedTask: Task =
      typeof task === "string" ? { definition: task, data: data as string, ...(rows !== undefined && { rows }) } : task;
    encoded.push(await encodeTask(definedTask, session, signal));
  }
  const names = encoded.map(({ name }) => name);
  const duplicate = names.find((name, index) => names.indexOf(name) !== index);
  if (duplicate !== undefined) throw invalidArgument("tasks", "tasks with different names", duplicate);
  return encoded;
}

/** Returns the scores of tasks from the scores of their rows, which are in the order of the tasks. */
export function toBenchmarkResult(tasks: readonly EncodedTask[], scores: readonly RowScores[]): BenchmarkResult {
  const remaining = [...scores];
  return Object.fromEntries(
    tasks.map((task) => [task.name, toTaskScores(task, remaining.splice(0, task.rows.length))]),
  );
}

/** Scores the model on tasks, with the metrics of the lm-evaluation-harness. */
export async function benchmark(
  session: Session,
  tasks: string | Task | readonly (string | Task)[],
  options: BenchmarkOptions = {},
): Promise<BenchmarkResult> {
  const checked = validate(schema, options, "options");
  const list = validate(taskList, reading("tasks", () => Array.isArray(tasks)) ? tasks : [tasks], "tasks");
  const plan = toPlan(checked.bypass, session.config);
  const encoded = await encodeTasks(list as (string | Task)[], checked, session);
  const rows = encoded.flatMap((task) => task.rows);
  return toBenchmarkResult(encoded, await scoreUnder(session, rows, plan, checked));
}
