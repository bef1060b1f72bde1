import path from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { type Bypass, type BypassMode, type BypassPart, bypassModes, bypassParts } from "../bypass/bypass.js";
import { AttentionBypassError } from "../errors/errors.js";
import { requireWritable, writeOutput } from "../files/output-file.js";
import type { MemorizationMetric } from "../metrics/memorization-scores.js";
import { reportFormat, writeReport } from "../report/write-report.js";
import { type BypassFamily, familyNames } from "../sweep/families.js";
import type { SweepOptions } from "../sweep/options.js";
import type { SweptBlocks } from "../sweep/variants.js";
import { sweepRevisions } from "../sweep-revisions.js";
import { meanSamplesOption, parseBlocks, parseHeads, readMeans } from "./bypass-options.js";
import { requireDistinct } from "./distinct-files.js";
import { readText } from "./input.js";
import { addMemoryOption, type MemoryOption, toMemory } from "./memory-option.js";
import { addMetricOptions, type MetricOptions, metricOptionNames } from "./metric-options.js";
import { addModelOptions, type ModelOptions, modelHelp, modelOptionNames, openModel } from "./model-options.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { outputFormat } from "./output-format.js";
import { pick } from "./pick.js";
import { withProgress } from "./progress.js";
import { suffixesOption, toSamples } from "./sample-options.js";
import { type Result, toReport, toText } from "./sweep-result.js";
import { addTaskOptions, type TaskOptions, taskFiles, toTasks } from "./task-options.js";
import { namesAmong, wholeNumber } from "./values.js";

interface Options extends ModelOptions, TaskOptions, MetricOptions, MemoryOption, JsonOption {
  over?: BypassFamily[];
  bypass?: Bypass[];
  heads?: Bypass[];
  part?: BypassPart[];
  mode?: BypassMode[];
  meanSamples?: string;
  samples?: string;
  suffixes?: string;
  control?: string;
  prefixLength?: number;
  rows?: number;
  text?: string;
  contextLength?: number;
  stride?: number;
  survey?: number;
  compareRows?: number;
  resume?: string;
  revisions?: string[];
  keep?: boolean;
  csv?: boolean;
  output?: string;
  report?: string;
}

const examples = `
The metrics are those of \`attention-bypass memorization --help\`, perplexity and
the accuracies of the tasks. "base" is the model without a bypass. JSON contains
the base and the variants with the values of each row, all settings, versions,
and the SHA-256 of the model's files and of the samples. The table and CSV have
one line for each variant. The ending of --output selects the format. With
--control, a report compares the drop on the samples with that on the control
rows (selectivity), and --over random:SIZE:COUNT adds random sets of blocks.

Examples:
  $ attention-bypass sweep ./pythia-160m --samples memorized.npy \\
      --prefix-length 32
  $ attention-bypass sweep ./pythia-160m --samples memorized.npy \\
      --prefix-length 32 --over quartiles --mode zero,short-circuit \\
      --text wikitext2.txt --task recall=recall.jsonl --dtype bfloat16 \\
      --resume sweep.part --output sweep.json
  $ attention-bypass sweep ./pythia-160m --samples memorized.npy \\
      --prefix-length 32 --over blocks,quartiles --tasks arc_easy,piqa \\
      --data ./tasks --report report.html
  $ attention-bypass sweep ./pythia-160m --samples memorized.npy \\
      --control control.npy --prefix-length 32 --part attention,mlp \\
      --over blocks,quartiles,random:3:20 --report report.html
  $ attention-bypass sweep ./pythia-160m --samples rows.jsonl --bypass 0-3 \\
      --bypass 9,11 --csv
  $ attention-bypass sweep EleutherAI/pythia-160m-deduped \\
      --revisions step1000,step8000,step64000,step143000 --bypass q4 \\
      --samples memorized.npy --prefix-length 32 --resume revisions \\
      --output training.json --report training.html`;

function parseFamily(text: string): BypassFamily {
  const family = familyNames.find((name) => name === text);
  if (family !== undefined) return family;
  const window = /^window:([1-9]\d{0,3})$/.exec(text);
  if (window) return { window: Number(window[1]) };
  const random = /^random:([1-9]\d{0,3}):([1-9]\d{0,3})(?::(\d{1,15}))?$/.exec(text);
  if (random) {
    const [size, count, seed] = random.slice(1).map((number) => (number === undefined ? undefined : Number(number)));
    return { random: { size: size as number, count: count as number, ...(seed !== undefined && { seed }) } };
  }
  throw new InvalidArgumentError(
    "Expected blocks, heads, quartiles, pairs, window:N or random:SIZE:COUNT[:SEED], or several separated by commas.",
  );
}

export const parseFamilies = (text: string): BypassFamily[] => text.split(",").map((item) => parseFamily(item.trim()));

function swept({ over = [], bypass = [], heads = [] }: Options): { over?: SweptBlocks } {
  const all = [...over, ...bypass, ...heads];
  return all.length > 0 ? { over: all } : {};
}

/** Sweeps one model, or each of the revisions. */
async function measure(
  model: string,
  options: Options,
  common: SweepOptions<MemorizationMetric>,
  signal: AbortSignal,
): Promise<Result> {
  const { revisions, meanSamples } = options;
  if (revisions === undefined) {
    await using loaded = await openModel(model, options, signal);
    const means = await readMeans(loaded, options, signal);
    const sweep = await withProgress("Sweeping", options, (onProgress) =>
      loaded.sweep({ ...common, ...means, ...pick(options, ["resume"]), signal, onProgress }),
    );
    return { sweep };
  }
  const result = await withProgress("Sweeping", options, (onProgress) =>
    sweepRevisions(model, {
      ...common,
      ...pick(options, modelOptionNames),
      ...pick(options, ["keep", "resume"]),
      ...(meanSamples !== undefined && { means: async (one) => (await one.attention(meanSamples, { signal })).means }),
      revisions,
      signal,
      onProgress,
    }),
  );
  return { revisions: result };
}

async function sweep(model: string, options: Options, signal: AbortSignal) {
  const blocks = swept(options);
  const format = outputFormat(options);
  // Checks all outputs first, so that hours of work are not lost at the end.
  if (options.report !== undefined) reportFormat(options.report, "--report");
  await requireDistinct(
    [
      ["<model>", model],
      ["--samples", options.samples],
      ["--suffixes", options.suffixes],
      ["--control", options.control],
      ["--text", options.text],
      ["--mean-samples", options.meanSamples],
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
  if (options.suffixes !== undefined && options.samples === undefined) {
    throw new AttentionBypassError("INVALID_ARGUMENT", "expected --samples with --suffixes but it is not given");
  }
  if (options.control !== undefined && options.samples === undefined) {
    throw new AttentionBypassError("INVALID_ARGUMENT", "expected --samples with --control but it is not given");
  }
  const tasks = toTasks(options);
  if (tasks.length === 0 && options.samples === undefined && options.text === undefined) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      "expected at least one of --samples, --text, --tasks and --task but none is given",
    );
  }
  if (options.keep && options.revisions === undefined) {
    throw new AttentionBypassError("INVALID_ARGUMENT", "expected --revisions with --keep but it is not given");
  }
  if (options.revision !== undefined && options.revisions !== undefined) {
    throw new AttentionBypassError("INVALID_ARGUMENT", "expected --revision or --revisions but received both");
  }
  const text = options.text === undefined ? {} : { text: await readText(options.text, signal) };
  const reportsSurvey = options.report !== undefined && options.revisions === undefined;
  const common = {
    ...blocks,
    ...text,
    ...(options.samples !== undefined && { samples: toSamples({ ...options, samples: options.samples }) }),
    ...pick(options, ["control", "part", "mode", "prefixLength", "rows", ...metricOptionNames]),
    ...pick(options, ["contextLength", "stride", "compareRows"]),
    ...(tasks.length > 0 && { tasks }),
    survey: options.survey ?? (reportsSurvey ? 8 : 0),
    ...toMemory(options),
  };
  const result = await measure(model, options, common, signal);
  if (options.output !== undefined) await writeOutput(options.output, toText(result, format));
  else if (format === "json") await printJson("sweep" in result ? result.sweep : result.revisions);
  else await print(toText(result, format));
  // Last, so that a failure to draw a figure does not lose the result.
  if (options.report !== undefined) {
    const name = path.basename(path.resolve(model));
    await writeReport(toReport(result, name), options.report);
  }
}

export function addSweep(program: Command, signal: AbortSignal): void {
  const command = program
    .command("sweep")
    .summary("measure a model with each block bypassed in turn")
    .description(
      "Measures memorization, perplexity and task accuracy without a bypass and with each of many bypasses, in one " +
        "forward pass for all of them.",
    )
    .argument("<model>", modelHelp)
    .optionsGroup("Bypass options:")
    .option(
      "--over <sets>",
      "what to bypass in turn: blocks, heads, quartiles, pairs, window:N (each N adjacent blocks), random:SIZE:COUNT[:SEED] (random sets of SIZE blocks, as a comparison), or several separated by commas (default: blocks)",
      parseFamilies,
    )
    .option(
      "--bypass <blocks>",
      "a set of blocks, such as 7, 5,6, 4-7, 4- or q4; may be repeated",
      (text: string, before: readonly Bypass[] = []) => [...before, { blocks: parseBlocks(text) }],
    )
    .option(
      "--heads <heads>",
      "a set of heads, such as 3.0 or 3.0,3.5 (block, full stop, head); may be repeated",
      (text: string, before: readonly Bypass[] = []) => [...before, { heads: parseHeads(text) }],
    )
    .option(
      "--part <parts>",
      'parts of the blocks to bypass: attention, mlp, both, or several separated by commas (default: "attention")',
      namesAmong(bypassParts),
    )
    .option(
      "--mode <modes>",
      'what replaces the output: zero, short-circuit, mean, or several separated by commas (default: "zero")',
      namesAmong(bypassModes),
    )
    .addOption(meanSamplesOption)
    .optionsGroup("Measures, at least one:")
    .option("--samples <file>", "samples to score for memorization: .npy, JSON lines or Parquet")
    .addOption(suffixesOption())
    .option("--control <file>", "rows of the same form that the model has not memorized, to compare the samples with")
    .option("--text <file>", 'text file for perplexity, or a folder of .txt files; "-" reads standard input');
  addTaskOptions(command)
    .optionsGroup("Options of the measures:")
    .option("--prefix-length <count>", "tokens in the prefix of each sample", wholeNumber(1))
    .option("--rows <count>", "number of samples, from the first on (default: all)", wholeNumber(1));
  addMetricOptions(command)
    .option(
      "--context-length <count>",
      "tokens in a window of the text (default: the model's context length)",
      wholeNumber(2),
    )
    .option(
      "--stride <count>",
      "tokens predicted in each window after the first (default: half of the context length)",
      wholeNumber(1),
    )
    .option(
      "--survey <rows>",
      "rows on which to measure attention outputs and the distance of each bypass (default: 8 with --report, else 0)",
      wholeNumber(0),
    )
    .optionsGroup("Work options:");
  addMemoryOption(command)
    .option(
      "--compare-rows <count>",
      "rows to score in float32 too if the dtype is not float32 (default: one in 64)",
      wholeNumber(0),
    )
    .option("--resume <file>", "save progress to this file, or with --revisions folder; continue from it if it exists")
    .optionsGroup("Over training:")
    .option(
      "--revisions <names>",
      "measure each of these revisions of the model on the hub, or folders in the folder <model>: names and patterns such as 'step*000', separated by commas",
      (text: string) => text.split(",").map((name) => name.trim()),
    )
    .option("--keep", "keep the downloads of --revisions (default: each is removed after its sweep)");
  addModelOptions(command);
  addJsonOption(command)
    .option("--csv", "print the table as CSV, one line for each variant")
    .option("--output <file>", "write the result to a file: .json, .csv or .txt; another name needs --json or --csv")
    .option(
      "--report <file>",
      "also write a report: .html, .md with figures as separate files, .svg or .png; see report --help",
    )
    .addHelpText("after", examples)
    .action((model: string, options: Options) => sweep(model, options, signal));
}
