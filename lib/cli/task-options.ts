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

/** The name of a task and its file, as in recall=tasks/recall.jsonl; the file's name serves where there is none. */
function parseTask(text: string, before: readonly Task[] = []): Task[] {
  const [, name, file] = /^(?:([\w-]+)=)?(.+)$/.exec(text) ?? [];
  if (file === undefined) throw new InvalidArgumentError("Expected NAME=FILE.");
  return [...before, { name: name ?? path.basename(file, path.extname(file)), questions: file }];
}

export function addTaskOptions(command: Command): Command {
  return command
    .option(
      "--tasks <names>",
      `tasks to run, with commas, of ${benchmarkNames.join(", ")}, or files that define others`,
      (text: string) => text.split(",").map((name) => name.trim()),
    )
    .option(
      "--data <path>",
      "folder with those tasks' rows as published, JSON lines or Parquet, or the only one's file",
    )
    .option("--task-rows <count>", "take only the first rows of those tasks (default: all)", wholeNumber(1))
    .option(
      "--task <name=file>",
      'questions of your own as JSON lines of {"query","choices","gold"}; give it several times',
      parseTask,
    );
}

export function toTasks({ tasks = [], data, taskRows, task = [] }: TaskOptions): Task[] {
  if (tasks.length > 0 && data === undefined) {
    throw new AttentionBypassError("INVALID_ARGUMENT", "expected --data beside --tasks but it is not given");
  }
  const defined = tasks.map((definition) => ({
    definition,
    data: data as string,
    ...(taskRows !== undefined && { rows: taskRows }),
  }));
  return [...defined, ...task];
}

/** The files and folders that the options name; the names of the package's own tasks are no files. */
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
