import type { Command } from "commander";
import { formatNumber, table } from "../display/text-form.js";
import { type MemorizationMetric, type MemorizationResult, memorizationMetrics } from "../metrics/memorization.js";
import { memorizationText } from "../metrics/text.js";
import { addBypassOptions, type BypassOptions, toBypass, withMeans } from "./bypass-options.js";
import { addMemoryOption, type MemoryOption, toMemory } from "./memory-option.js";
import { addModelOptions, type ModelOptions, modelHelp, openModel } from "./model-options.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { pick } from "./pick.js";
import { withProgress } from "./progress.js";
import { suffixesOption, toSamples } from "./sample-options.js";
import { decimal, namesAmong, wholeNumber } from "./values.js";

interface Options extends ModelOptions, BypassOptions, MemoryOption, JsonOption {
  samples: string;
  suffixes?: string;
  prefixLength?: number;
  rows?: number;
  metrics?: MemorizationMetric[];
  temperature?: number;
  topK?: number;
  perRow?: boolean;
}

const examples = `
Metrics, means over the rows, with natural logarithms:
  exactMatch             1 if all greedily generated tokens are the suffix,
                         else 0
  tokenAccuracy          share of the greedily generated tokens that are right;
                         takes by far the longest
  teacherForcedAccuracy  the same share, given the true tokens before each
  completionEntropy      sum of the entropies (nats) of the suffix tokens, given
                         the true ones before each
  suffixLogLikelihood    sum of the log-probabilities (nats) of the suffix
                         tokens
  extractableLength      tokens of the suffix before the first that greedy
                         generation gets wrong
  extractionProbability  probability of the suffix when it is sampled once, at
                         --temperature and --top-k

Examples:
  $ attention-bypass memorization ./gpt-neo --samples memorized.npy \\
      --prefix-length 50 --bypass 7
  $ attention-bypass memorization ./gpt-neo --samples rows.jsonl --rows 100 \\
      --metrics exactMatch,completionEntropy --json
  $ attention-bypass memorization ./gpt-neo --samples val_prefix.npy \\
      --suffixes val_suffix.npy`;

function rowsTable({ perRow }: MemorizationResult, metrics: readonly MemorizationMetric[]): string {
  return table([
    ["row", ...metrics],
    ...perRow.map((row, index) => [String(index), ...metrics.map((metric) => formatNumber(row[metric]))]),
  ]);
}

async function memorization(path: string, options: Options, signal: AbortSignal) {
  const bypass = toBypass(options);
  await using model = await openModel(path, options, signal);
  const bypassed = await withMeans(model, bypass, options, signal);
  const result = await withProgress("Scoring", options, (onProgress) =>
    model.scoreMemorization(toSamples(options), {
      ...pick(options, ["prefixLength", "rows", "metrics", "temperature", "topK"]),
      ...toMemory(options),
      ...bypassed,
      signal,
      onProgress,
    }),
  );
  const metrics = options.metrics ?? memorizationMetrics;
  if (options.json) {
    const { perRow, ...means } = result;
    return printJson(options.perRow ? result : means);
  }
  await print(memorizationText(result));
  if (options.perRow) await print(`\n${rowsTable(result, metrics)}`);
}

export function addMemorization(program: Command, signal: AbortSignal): void {
  const command = program
    .command("memorization")
    .summary("measure how far a model knows samples by heart")
    .description(
      "Measures how far a model knows samples by heart: each row's first tokens, the prefix, are given, and the rest, " +
        "the suffix, is what the model should come up with.",
    )
    .argument("<model>", modelHelp)
    .optionsGroup("Memorization options:")
    .requiredOption(
      "--samples <file>",
      '.npy array of token ids (rows, length), or JSON lines or Parquet of {"prefix","suffix"} or {"text"}',
    )
    .addOption(suffixesOption())
    .option(
      "--prefix-length <count>",
      "tokens of the prefix; not needed where samples say it themselves",
      wholeNumber(1),
    )
    .option("--rows <count>", "take the first rows alone (default: all)", wholeNumber(1))
    .option(
      "--metrics <names>",
      "what to measure, of the list below, with commas (default: all)",
      namesAmong(memorizationMetrics),
    )
    .option("--temperature <number>", "of the sampling that extractionProbability is about (default: 1)", decimal)
    .option("--top-k <count>", "of that sampling (default: all tokens)", wholeNumber(1));
  addMemoryOption(command);
  addBypassOptions(command);
  addModelOptions(command);
  addJsonOption(command)
    .option("--per-row", "print the values of each row too")
    .addHelpText("after", examples)
    .action((path: string, options: Options) => memorization(path, options, signal));
}
