import { existsSync, statSync } from "node:fs";
import path from "node:path";
import * as v from "valibot";
import { packageRoot } from "../addon/addon.js";
import { DataProcess } from "../data/process-client.js";
import type { Rendering } from "../data/process-messages.js";
import type { Form, RenderedQuestion, Row } from "../data/question-renderer.js";
import { readRows } from "../data/rows.js";
import { readText } from "../data/text.js";
import { AttentionBypassError } from "../errors/errors.js";
import { longestMessage, quoted } from "../errors/quoted.js";
import { describe, validate } from "../errors/validation.js";
import { visible } from "../errors/visible.js";
import { definitionPurpose, InputFile, taskRowsPurpose } from "../files/input-file.js";
import { readLines } from "../files/lines.js";

/** The maximum size of a definition, in bytes. */
const maxDefinitionBytes = 2 ** 20;

// The number of rows in one request to the rendering process, and its time limit in milliseconds, a thousand times the
// usual time.
const rowsPerRequest = 256;
const renderingDeadline = 10_000;
const renderingDeadlinePerRow = 20;

/** The names of the tasks that the package defines. docs/benchmarks.md says how to define others in a file. */
export const benchmarkNames = ["arc_easy", "hellaswag", "lambada_openai", "piqa", "winogrande"] as const;

const template = v.pipe(v.string(), v.nonEmpty("a text that is not empty"));
/** The path of a list in the row, such as choices.text, or a template for each element. */
const list = v.union(
  [template, v.pipe(v.array(template), v.nonEmpty("at least one template"))],
  "a path in the row or an array of templates",
);

/** How rows of one format become questions. Templates are in Jinja, with the row's columns as variables. */
const formSchema = v.pipe(
  v.strictObject({
    /** The columns that a file must have for this form to apply. */
    needs: v.optional(v.array(template), []),
    context: v.optional(template),
    contexts: v.optional(v.pipe(v.array(template), v.minLength(2, "at least two contexts"))),
    choices: v.optional(list),
    continuation: v.optional(template),
    /** The index of the right choice or context, from 0, or its label. */
    gold: v.optional(template),
    labels: v.optional(list),
    /** Regular expressions and their replacements, applied in order to every text. */
    replace: v.optional(v.array(v.tuple([v.string(), v.string()])), []),
  }),
  v.check(
    ({ context, contexts, choices, continuation, gold }) =>
      [
        context && choices && gold && !contexts && !continuation,
        contexts && continuation && gold && !context && !choices,
        context && continuation && !gold && !contexts && !choices,
      ].some(Boolean),
    "context, choices and gold, or contexts, continuation and gold, or context and continuation",
  ),
);

const definitionSchema = v.strictObject({
  name: v.pipe(v.string(), v.nonEmpty("a name"), v.maxLength(200, "a name of at most 200 characters")),
  description: v.optional(v.string()),
  /** What the task tests, such as "reasoning". Reports show tasks of one group together. */
  group: v.optional(v.string()),
  /** Possible names of the file with the rows. The first one that exists in the folder is read. */
  rows: v.pipe(v.array(v.string()), v.nonEmpty("at least one file name")),
  /** Columns that are in separate files with one line for each row, and possible names of these files. */
  lines: v.optional(v.record(v.string(), v.array(v.string())), {}),
  forms: v.pipe(v.array(formSchema), v.nonEmpty("at least one form")),
});

export type TaskDefinition = v.InferOutput<typeof definitionSchema>;

/**
 * The kind of a question: which of several continuations, which of several contexts, or whether greedy decoding gives
 * one continuation.
 */
export type QuestionKind = "choices" | "contexts" | "continuation";

export interface RenderedTask {
  name: string;
  group: string | undefined;
  kind: QuestionKind;
  questions: RenderedQuestion[];
}

function invalid(message: string): AttentionBypassError {
  return new AttentionBypassError("TASK_INVALID", message);
}

/** Reads a task's definition by its name or the path of its file. Throws FILE_NOT_FOUND, TASK_INVALID. */
export async function readDefinition(nameOrFile: string): Promise<TaskDefinition> {
  const known = (benchmarkNames as readonly string[]).includes(nameOrFile);
  const file = known ? path.join(packageRoot, "tasks", `${nameOrFile}.json`) : nameOrFile;
  if (!known && !existsSync(file)) {
    throw new AttentionBypassError(
      "FILE_NOT_FOUND",
      `expected a task among ${benchmarkNames.join(", ")}, or the path of a definition, but ${file} does not exist`,
    );
  }
  const text = await readText(file, definitionPurpose, { most: maxDefinitionBytes });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`expected the definition of a task in ${file} but ${(error as Error).message}`);
  }
  return validate(definitionSchema, value, `the definition ${file}`, "TASK_INVALID");
}

/**
 * Returns the path of the first file that exists in the folder. Names that lead out of the folder are rejected, since
 * definitions may be untrusted and error messages quote file contents. Throws TASK_INVALID.
 */
function findIn(folder: string, names: readonly string[]): string | undefined {
  for (const name of names) {
    if (path.join("folder", name).startsWith(`folder${path.sep}`)) continue;
    throw invalid(`expected the definition of a task to name files in ${folder} but received ${describe(name)}`);
  }
  return names.map((name) => path.join(folder, name)).find((file) => existsSync(file));
}

function findRows({ name, rows }: TaskDefinition, data: string): string {
  if (!existsSync(data)) {
    throw new AttentionBypassError("FILE_NOT_FOUND", `expected rows of ${name} but ${data} does not exist`);
  }
  if (!statSync(data).isDirectory()) return data;
  const file = findIn(data, [...rows, ...rows.map((row) => path.join(name, row))]);
  if (file !== undefined) return file;
  throw new AttentionBypassError(
    "FILE_NOT_FOUND",
    `expected rows of ${name} in ${data}, as ${quoted(rows.join(" or "), longestMessage)}`,
  );
}

/**
 * Checks that a task's definition can be read and that its rows exist, before a model is loaded. Throws FILE_NOT_FOUND,
 * TASK_INVALID.
 */
export async function requireTask(nameOrFile: string, data: string): Promise<void> {
  findRows(await readDefinition(nameOrFile), data);
}

/** Adds a column from a file with one line for each row. */
async function withLines(
  rows: readonly Row[],
  column: string,
  file: string,
  { limit, signal }: RowOptions,
): Promise<Row[]> {
  await using input = await InputFile.open(file, taskRowsPurpose);
  const lines: string[] = [];
  for await (const { text } of readLines(input, signal)) {
    if (lines.length === limit) break;
    lines.push(text.trim());
  }
  if (lines.length !== rows.length) {
    throw invalid(`expected ${rows.length} lines, one for each row, in ${file} but found ${lines.length}`);
  }
  return rows.map((row, index) => ({ ...row, [column]: lines[index] }));
}

/** Options for reading the rows of a file. */
export interface RowOptions {
  /** The number of rows to read, from the first on. Defaults to all. */
  limit?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Reads rows of a file, each of which must be an object. Throws FILE_NOT_FOUND, TASK_INVALID. */
export async function readTaskRows(file: string, { limit, signal }: RowOptions): Promise<Row[]> {
  await using input = await InputFile.open(file, taskRowsPurpose);
  const rows: Row[] = [];
  for await (const { name, value } of readRows(input, limit, signal)) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw invalid(`expected an object in ${name} but received ${describe(value)}`);
    }
    rows.push(value as Row);
  }
  return rows;
}

/** Renders rows as questions in a child process, which is killed if a request exceeds its time limit. */
async function renderRows(
  form: Form,
  rows: readonly Row[],
  { name }: TaskDefinition,
  file: string,
  signal: AbortSignal | undefined,
): Promise<RenderedQuestion[]> {
  using child = new DataProcess();
  const questions: RenderedQuestion[] = [];
  const mismatch = (row: string, message: string) =>
    invalid(`expected ${row} of ${file} to match the definition of ${visible(name)} but ${message}`);
  for (let first = 0; first < rows.length; first += rowsPerRequest) {
    const some = rows.slice(first, first + rowsPerRequest);
    const deadline = renderingDeadline + some.length * renderingDeadlinePerRow;
    const renderings = await child
      .ask({ render: { form, rows: some } }, { deadline, signal })
      .catch((error: unknown) => {
        signal?.throwIfAborted();
        const range = some.length === 1 ? `row ${first + 1}` : `rows ${first + 1} to ${first + some.length}`;
        throw mismatch(range, `rendering it failed: ${(error as Error).message}`);
      });
    for (const rendering of renderings as Rendering[]) {
      if ("failure" in rendering) throw mismatch(`row ${questions.length + 1}`, rendering.failure);
      questions.push(rendering.question);
    }
  }
  return questions;
}

/**
 * Reads the rows of a task from a file or folder and renders them as questions. Throws FILE_NOT_FOUND, TASK_INVALID.
 */
export async function renderTask(definition: TaskDefinition, data: string, options: RowOptions): Promise<RenderedTask> {
  const file = findRows(definition, data);
  let rows = await readTaskRows(file, options);
  for (const [column, names] of Object.entries(definition.lines)) {
    const columnFile = Object.hasOwn(rows[0] ?? {}, column) ? undefined : findIn(path.dirname(file), names);
    if (columnFile !== undefined) rows = await withLines(rows, column, columnFile, options);
  }
  const [first] = rows;
  if (first === undefined) throw invalid(`expected rows of ${definition.name} in ${file} but found none`);
  const form = definition.forms.find(({ needs }) => needs.every((column) => Object.hasOwn(first, column)));
  if (form === undefined) {
    const columns = definition.forms.map(({ needs }) => needs.join(", ")).join(", or ");
    throw invalid(`expected rows of ${definition.name} with the columns ${quoted(columns, longestMessage)} in ${file}`);
  }
  const kind = form.choices !== undefined ? "choices" : form.contexts !== undefined ? "contexts" : "continuation";
  const questions = await renderRows(form, rows, definition, file, options.signal);
  return { name: definition.name, group: definition.group, kind, questions };
}
