import type { Command } from "commander";
import { benchmarkText } from "../benchmark/text.js";
import { AttentionBypassError } from "../errors/errors.js";
import { addBypassOptions, type BypassOptions, toBypass, withMeans } from "./bypass-options.js";
import { addMemoryOption, type MemoryOption, toMemory } from "./memory-option.js";
import { addModelOptions, type ModelOptions, modelHelp, openModel } from "./model-options.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { withProgress } from "./progress.js";
import { addTaskOptions, type TaskOptions, toTasks } from "./task-options.js";

interface Options extends ModelOptions, BypassOptions, TaskOptions, MemoryOption, JsonOption {
  perQuestion?: boolean;
}

const examples = `
Scores and standard errors are those of the lm-evaluation-harness, zero-shot:
accuracy is its acc, normalizedAccuracy its acc_norm. docs/benchmarks.md
describes how to define a task in a file.

Examples:
  $ attention-bypass benchmark ./pythia-160m --tasks arc_easy,piqa \\
      --data ./tasks --bypass q4
  $ attention-bypass benchmark ./pythia-160m --tasks hellaswag \\
      --data validation.parquet --task-rows 1000 --json
  $ attention-bypass benchmark ./pythia-160m --task recall=recall.jsonl`;

async function benchmark(path: string, options: Options, signal: AbortSignal) {
  const bypass = toBypass(options);
  const tasks = toTasks(options);
  if (tasks.length === 0) {
    throw new AttentionBypassError("INVALID_ARGUMENT", "expected --tasks or --task but none is given");
  }
  await using model = await openModel(path, options, signal);
  const bypassed = await withMeans(model, bypass, options, signal);
  const result = await withProgress("Answering", options, (onProgress) =>
    model.benchmark(tasks, { ...toMemory(options), ...bypassed, signal, onProgress }),
  );
  if (!options.json) return print(benchmarkText(result));
  const means = Object.entries(result).map(([name, { perQuestion: _, ...scores }]) => [name, scores]);
  await printJson(options.perQuestion ? result : Object.fromEntries(means));
}

export function addBenchmark(program: Command, signal: AbortSignal): void {
  const command = program
    .command("benchmark")
    .summary("measure the accuracy of a model on tasks")
    .description(
      "Measures the accuracy of a model on tasks: multiple choice by log-likelihood, and prediction of the last word.",
    )
    .argument("<model>", modelHelp)
    .optionsGroup("Tasks, at least one:");
  addTaskOptions(command);
  addMemoryOption(command);
  addBypassOptions(command);
  addModelOptions(command);
  addJsonOption(command)
    .option("--per-question", "with --json, also print the answer to each question")
    .addHelpText("after", examples)
    .action((path: string, options: Options) => benchmark(path, options, signal));
}
