import { type Command, InvalidArgumentError } from "commander";
import { stringify } from "csv-stringify/sync";
import type { Samples } from "../data/samples.js";
import { AttentionBypassError } from "../errors/errors.js";
import { requireWritable, writeOutput } from "../files/output-file.js";
import { type PaperMode, paperModes } from "../paper/bypasses.js";
import { paperJson } from "../paper/json.js";
import type { PaperModel } from "../paper/models.js";
import type { PaperResult } from "../paper/result.js";
import { paperTable } from "../paper/table.js";
import { paperText } from "../paper/text.js";
import { createPaperReport } from "../report/paper-report.js";
import { reportFormat, writeReport } from "../report/write-report.js";
import { reproducePaper } from "../reproduce-paper.js";
import { requireDistinct } from "./distinct-files.js";
import { addMemoryOption, type MemoryOption, toMemory } from "./memory-option.js";
import { addModelOptions, type ModelOptions, modelHelp, modelOptionNames } from "./model-options.js";
import { addJsonOption, type JsonOption, print } from "./output.js";
import { type OutputFormat, outputFormat } from "./output-format.js";
import { pick } from "./pick.js";
import { withProgress } from "./progress.js";
import { addTaskOptions, type TaskOptions, taskFiles } from "./task-options.js";
import { namesAmong, wholeNumber } from "./values.js";

interface Options extends ModelOptions, TaskOptions, MemoryOption, JsonOption {
  samples?: string[];
  control?: string[];
  prefixLength?: number[];
  mode?: PaperMode[];
  rows?: number;
  randomSets?: number;
  compareRows?: number;
  resume?: string;
  csv?: boolean;
  output?: string;
  report?: string;
}

const examples = `
Attention is short-circuited, as in the paper, and zeroed, and the MLPs of the
same blocks are zeroed, in one model after the other. docs/paper.md compares this
with the paper. Without --tasks and --task, the benchmarks are the five that
--tasks lists.

Token ids belong to one tokenizer, so models with several tokenizers need samples
of their own: give --samples, --control and --prefix-length once for all models,
or once for each model, in the order of the models. A comma separates an array of
prefixes from one of suffixes. To write another report of a finished run, repeat
the command with the same --resume folder.

Examples:
  $ attention-bypass paper EleutherAI/pythia-1.4b EleutherAI/pythia-2.8b \\
      --samples memorized.npy --prefix-length 32 --data ./tasks \\
      --resume progress --output paper.json --report paper.html
  $ attention-bypass paper EleutherAI/pythia-1.4b EleutherAI/gpt-neo-1.3B \\
      --samples pythia.npy --samples prefixes.npy,suffixes.npy \\
      --prefix-length 32 --data ./tasks --report paper.html
  $ attention-bypass paper ./pythia-160m --samples secrets.jsonl \\
      --control never-seen.jsonl --task recall=recall.jsonl --rows 100`;

const collect =
  <Value>(parse: (text: string) => Value) =>
  (text: string, before: readonly Value[] = []): Value[] => [...before, parse(text)];

/** Parses a file of samples, or two files that a comma separates. */
function parseSamples(text: string): string {
  const files = text.split(",");
  if (files.length > 2 || files.includes("")) {
    throw new InvalidArgumentError("Expected FILE, or PREFIXES,SUFFIXES for two .npy files.");
  }
  return text;
}

function toSamples(text: string): Samples {
  const [first = "", second] = text.split(",");
  return second === undefined ? first : { prefixes: first, suffixes: second };
}

/** Returns the value of each model: the only one, or the one at the model's place. */
function forEach<Value>(values: readonly Value[] | undefined, option: string, count: number): (Value | undefined)[] {
  if (values === undefined) return Array<undefined>(count).fill(undefined);
  if (values.length === 1) return Array<Value>(count).fill(values[0] as Value);
  if (values.length === count) return [...values];
  throw new AttentionBypassError(
    "INVALID_ARGUMENT",
    `expected ${option} once for all models or once for each of ${count} but received it ${values.length} times`,
  );
}

function toModels(models: readonly string[], options: Options): PaperModel[] {
  if (options.samples === undefined) {
    throw new AttentionBypassError("INVALID_ARGUMENT", "expected --samples but it is not given");
  }
  const samples = forEach(options.samples, "--samples", models.length);
  const control = forEach(options.control, "--control", models.length);
  const lengths = forEach(options.prefixLength, "--prefix-length", models.length);
  return models.map((model, index) => ({
    model,
    samples: toSamples(samples[index] as string),
    ...(control[index] !== undefined && { control: toSamples(control[index]) }),
    ...(lengths[index] !== undefined && { prefixLength: lengths[index] }),
  }));
}

/** Returns the result in a format, in pieces. */
function toPieces(result: PaperResult, format: OutputFormat): Iterable<string> {
  if (format === "json") return paperJson(result);
  return [format === "csv" ? stringify(paperTable(result)) : paperText(result)];
}

async function paper(references: readonly string[], options: Options, signal: AbortSignal) {
  const models = toModels(references, options);
  const format = outputFormat(options);
  // Checks all outputs first, so that days of work are not lost at the end.
  if (options.report !== undefined) reportFormat(options.report, "--report");
  const files = (given: readonly string[] = []) => given.flatMap((text) => text.split(","));
  await requireDistinct(
    [
      ...references.map((model) => ["<models>", model] as const),
      ...files(options.samples).map((file) => ["--samples", file] as const),
      ...files(options.control).map((file) => ["--control", file] as const),
      ["--tokenizer", options.tokenizer],
      ...taskFiles(options),
    ],
    [
      ["--resume", options.resume],
      ["--output", options.output],
      ["--report", options.report],
    ],
  );
  for (const file of [options.output, options.report]) if (file !== undefined) await requireWritable(file);
  const { tasks, task = [] } = options;
  const asked = tasks === undefined && task.length === 0 ? undefined : [...(tasks ?? []), ...task];
  const result = await withProgress("Sweeping", options, (onProgress) =>
    reproducePaper({
      ...pick(options, modelOptionNames),
      ...pick(options, ["revision", "data", "taskRows", "mode", "randomSets", "rows", "compareRows", "resume"]),
      ...toMemory(options),
      ...(asked && { tasks: asked }),
      models,
      signal,
      onProgress,
    }),
  );
  const pieces = toPieces(result, format);
  if (options.output !== undefined) await writeOutput(options.output, pieces);
  else for (const piece of pieces) await print(piece);
  // Last, so that a failure to draw a figure does not lose the result.
  if (options.report !== undefined) await writeReport(createPaperReport(result), options.report);
}

export function addPaper(program: Command, signal: AbortSignal): void {
  const command = program
    .command("paper")
    .summary("run the paper's experiment on one or more models")
    .description(
      "Runs the experiment of the paper on each model: memorization and benchmarks with attention bypassed in each " +
        "block and in each quarter of the blocks, in one report.",
    )
    .argument("<models...>", modelHelp)
    .optionsGroup("Measures:")
    .option(
      "--samples <file>",
      "memorized samples: .npy, JSON lines or Parquet, or two .npy files PREFIXES,SUFFIXES; once, or once for each model",
      collect(parseSamples),
    )
    .option(
      "--control <file>",
      "rows of the same form that no model has memorized, to compare with; once, or once for each model",
      collect(parseSamples),
    )
    .option(
      "--prefix-length <count>",
      "tokens in the prefix of each sample; once, or once for each model",
      collect(wholeNumber(1)),
    )
    .option("--rows <count>", "number of samples, from the first on (default: all)", wholeNumber(1));
  addTaskOptions(command)
    .option(
      "--mode <modes>",
      "what replaces attention: short-circuit, as in the paper, zero, or both separated by a comma (default: both)",
      namesAmong(paperModes),
    )
    .option(
      "--random-sets <count>",
      "random sets of as many blocks as the last quarter has, to compare it with; with --control, 19 or more (default: 0)",
      wholeNumber(0),
    )
    .optionsGroup("Work options:");
  addMemoryOption(command)
    .option(
      "--compare-rows <count>",
      "rows to score in float32 too if the dtype is not float32 (default: one in 64)",
      wholeNumber(0),
    )
    .option("--resume <folder>", "save finished models and rows in this folder; continue from it if it exists");
  addModelOptions(command);
  addJsonOption(command)
    .option("--csv", "print a table as CSV, one line for each model and bypass")
    .option("--output <file>", "write the result to a file: .json, .csv or .txt; another name needs --json or --csv")
    .option(
      "--report <file>",
      "also write a report: .html, .md with figures as separate files, .svg or .png; see report --help",
    )
    .addHelpText("after", examples)
    .action((models: string[], options: Options) => paper(models, options, signal));
}
