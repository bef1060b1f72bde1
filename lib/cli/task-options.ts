import path from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { Task } from "../benchmark/task.js";
import { benchmarkNames } from "../benchmark/task-definition.js";
import { AttentionBypassError } from "../errors/errors.js";
import type { NamedFile } from "./distinct-files.js";
import { wholeNumber } from "./values.js";

export interface TaskOptions {
  tasks?: string[];
  data?: string;
  taskRows?: number;
  task?: Task[];
}

/** Parses a task's name and file, as in recall=tasks/recall.jsonl. Without a name, the task has the name of the file. */
function parseTask(text: string, before: readonly Task[] = []): Task[] {
  const [, name, file] = /^(?:([\w-]+)=)?(.+)$/.exec(text) ?? [];
  if (file === undefined) throw new InvalidArgumentError("Expected NAME=FILE.");
  return [...before, { name: name ?? path.basename(file, path.extname(file)), questions: file }];
}

export function addTaskOptions(command: Command): Command {
  return command
    .option(
      "--tasks <names>",
      `${benchmarkNames.join(", ")}, or files that define other tasks; separated by commas`,
      (text: string) => text.split(",").map((name) => name.trim()),
    )
    .option(
      "--data <path>",
      "folder with the published rows of --tasks, JSON lines or Parquet, or the file of a single task",
    )
    .option(
      "--task-rows <count>",
      "number of rows of each of --tasks, from the first on (default: all)",
      wholeNumber(1),
    )
    .option(
      "--task <name=file>",
      'your own questions as JSON lines of {"query","choices","gold"}; may be repeated',
      parseTask,
    );
}

export function toTasks({ tasks = [], data, taskRows, task = [] }: TaskOptions): Task[] {
  if (tasks.length > 0 && data === undefined) {
    throw new AttentionBypassError("INVALID_ARGUMENT", "expected --data with --tasks but it is not given");
  }
  const defined = tasks.map((definition) => ({
    definition,
    data: data as string,
    ...(taskRows !== undefined && { rows: taskRows }),
  }));
  return [...defined, ...task];
}

/** The files and folders that the options name. Names of the package's tasks are included, though they are not files. */
export function taskFiles({ tasks = [], data, task = [] }: TaskOptions): NamedFile[] {
  const questions = task.flatMap((own) =>
    "questions" in own && typeof own.questions === "string" ? [own.questions] : [],
  );
  return [
    ...tasks.map((name): NamedFile => ["--tasks", name]),
    ["--data", data],
    ...questions.map((file): NamedFile => ["--task", file]),
  ];
}
