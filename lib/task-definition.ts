import { existsSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Template } from "@huggingface/jinja";
import * as v from "valibot";
import { packageRoot } from "./addon.js";
import { AttentionBypassError } from "./errors.js";
import { type Row, readLines, readRowFile } from "./row-file.js";
import { validate } from "./validation.js";

/** The tasks that the package defines; a file of the same form defines another. */
export const benchmarkNames = ["arc_easy", "hellaswag", "lambada_openai", "piqa", "winogrande"] as const;

const template = v.pipe(v.string(), v.nonEmpty("a text that is not empty"));
/** The path of a list in the row, as in choices.text, or a template for each member. */
const list = v.union(
  [template, v.pipe(v.array(template), v.nonEmpty("at least one template"))],
  "a path in the row or an array of templates",
);

/** How a row of one format becomes a question. Templates are Jinja's, with the row's columns as variables. */
const formSchema = v.pipe(
  v.strictObject({
    /** The columns by which the format is known. */
    needs: v.optional(v.array(template), []),
    context: v.optional(template),
    contexts: v.optional(v.pipe(v.array(template), v.minLength(2, "at least two contexts"))),
    choices: v.optional(list),
    continuation: v.optional(template),
    /** The place of the right choice or context, from 0, or its label. */
    gold: v.optional(template),
    labels: v.optional(list),
    /** Regular expressions, and what stands for all that they match, in the order of their use on every text. */
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
  name: v.pipe(v.string(), v.nonEmpty("a name")),
  description: v.optional(v.string()),
  /** What it tests, such as "reasoning"; reports put tasks of one group together. */
  group: v.optional(v.string()),
  /** Names of the file with the rows, of which the first that a folder has is taken. */
  rows: v.pipe(v.array(v.string()), v.nonEmpty("at least one file name")),
  /** Columns that stand in files of their own, a line for each row. */
  lines: v.optional(v.record(v.string(), v.array(v.string())), {}),
  forms: v.pipe(v.array(formSchema), v.nonEmpty("at least one form")),
});

type Form = v.InferOutput<typeof formSchema>;
export type TaskDefinition = v.InferOutput<typeof definitionSchema>;

/** Texts that may follow others, of which the one at `gold` is right. */
export interface RenderedQuestion {
  pairs: { context: string; continuation: string }[];
  gold: number;
  /** What the harness's normalized accuracy divides by: characters of each choice. */
  characters: number[];
}

/** What is asked: which of several continuations, which of several contexts, or whether one continuation comes. */
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

/** Throws FILE_NOT_FOUND, TASK_INVALID. */
export async function readDefinition(nameOrFile: string): Promise<TaskDefinition> {
  const known = (benchmarkNames as readonly string[]).includes(nameOrFile);
  const file = known ? path.join(packageRoot, "tasks", `${nameOrFile}.json`) : nameOrFile;
  if (!known && !existsSync(file)) {
    throw new AttentionBypassError(
      "FILE_NOT_FOUND",
      `expected a task among ${benchmarkNames.join(", ")}, or the path of a definition, but there is no file ${file}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw invalid(`expected the definition of a task in ${file} but ${(error as Error).message}`);
  }
  return validate(definitionSchema, value, `the definition ${file}`, "TASK_INVALID");
}

/** The first of the names that a folder has. */
function findIn(folder: string, names: readonly string[]): string | undefined {
  return names.map((name) => path.join(folder, name)).find((file) => existsSync(file));
}

function findRows({ name, rows }: TaskDefinition, data: string): string {
  if (!existsSync(data)) {
    throw new AttentionBypassError("FILE_NOT_FOUND", `expected rows of ${name} but there is no ${data}`);
  }
  if (!statSync(data).isDirectory()) return data;
  const file = findIn(data, [...rows, ...rows.map((row) => path.join(name, row))]);
  if (file !== undefined) return file;
  throw new AttentionBypassError("FILE_NOT_FOUND", `expected rows of ${name} in ${data}, as ${rows.join(" or ")}`);
}

function withLines(rows: Row[], column: string, lines: readonly [number, string][], file: string): Row[] {
  if (lines.length !== rows.length) {
    throw invalid(`expected a line for each of ${rows.length} rows in ${file} but there are ${lines.length}`);
  }
  return rows.map((row, index) => ({ ...row, [column]: lines[index]?.[1] }));
}

function at(row: Row, place: string): unknown {
  return place
    .split(".")
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | null | undefined)?.[key], row);
}

/** Makes questions of rows by one form. */
class Renderer {
  readonly #templates = new Map<string, Template>();
  readonly #replacements: [RegExp, string][];

  constructor(
    private readonly form: Form,
    private readonly jinja: typeof import("@huggingface/jinja"),
  ) {
    this.#replacements = form.replace.map(([pattern, replacement]) => [new RegExp(pattern, "gu"), replacement]);
  }

  #text(source: string, row: Row): string {
    let known = this.#templates.get(source);
    if (!known) {
      known = new this.jinja.Template(source);
      this.#templates.set(source, known);
    }
    return known.render({ ...row });
  }

  #clean(text: string): string {
    return this.#replacements.reduce((cleaned, [pattern, by]) => cleaned.replace(pattern, by), text);
  }

  #list(source: string | readonly string[], row: Row): string[] {
    if (typeof source !== "string") return source.map((member) => this.#text(member, row));
    const values = at(row, source);
    if (Array.isArray(values)) return values.map(String);
    throw new Error(`there is no list ${source}`);
  }

  #gold(row: Row, count: number): number {
    const { gold = "0", labels } = this.form;
    const label = this.#text(gold, row);
    const place = labels === undefined ? Number(label) : this.#list(labels, row).indexOf(label);
    if (label !== "" && Number.isInteger(place) && place >= 0 && place < count) return place;
    throw new Error(`"${label}" is none of ${count} answers`);
  }

  render(row: Row): RenderedQuestion {
    const { context = "", contexts, choices, continuation = "" } = this.form;
    const before = (contexts ?? [context]).map((source) => this.#clean(this.#text(source, row)));
    const after =
      choices === undefined
        ? [this.#clean(this.#text(continuation, row))]
        : this.#list(choices, row).map((choice) => this.#clean(choice));
    return {
      pairs: before.flatMap((context) => after.map((continuation) => ({ context, continuation }))),
      gold: this.#gold(row, before.length * after.length),
      // Code points, as Python counts them.
      characters: after.map((choice) => [...choice].length),
    };
  }
}

/**
 * The questions of a task from a file of its rows, or a folder with one. `limit`: the first ones alone. Throws
 * FILE_NOT_FOUND, TASK_INVALID.
 */
export async function renderTask(
  definition: TaskDefinition,
  data: string,
  limit: number | undefined,
): Promise<RenderedTask> {
  const file = findRows(definition, data);
  let rows = await readRowFile(file);
  for (const [column, names] of Object.entries(definition.lines)) {
    const beside = column in (rows[0] ?? {}) ? undefined : findIn(path.dirname(file), names);
    if (beside !== undefined) rows = withLines(rows, column, await readLines(beside), beside);
  }
  const [first] = rows;
  if (first === undefined) throw invalid(`expected rows of ${definition.name} in ${file} but it is empty`);
  const form = definition.forms.find(({ needs }) => needs.every((column) => column in first));
  if (form === undefined) {
    const formats = definition.forms.map(({ needs }) => needs.join(", ")).join(", or ");
    throw invalid(`expected rows of ${definition.name} with ${formats} in ${file}`);
  }
  const kind = form.choices !== undefined ? "choices" : form.contexts !== undefined ? "contexts" : "continuation";
  const renderer = new Renderer(form, await import("@huggingface/jinja"));
  const questions = rows.slice(0, limit).map((row, index) => {
    try {
      return renderer.render(row);
    } catch (error) {
      throw invalid(
        `expected row ${index + 1} of ${file} to be as the definition of ${definition.name} says but ${(error as Error).message}`,
      );
    }
  });
  return { name: definition.name, group: definition.group, kind, questions };
}
