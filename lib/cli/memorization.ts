import type { Command } from "commander";
import { formatNumber, table } from "../display/text-form.js";
import type { MemorizationResult } from "../metrics/memorization.js";
import { defaultMemorizationMetrics, type MemorizationMetric } from "../metrics/memorization-scores.js";
import { memorizationText } from "../metrics/text.js";
import { addBypassOptions, type BypassOptions, toBypass, withMeans } from "./bypass-options.js";
import { addMemoryOption, type MemoryOption, toMemory } from "./memory-option.js";
import { addMetricOptions, type MetricOptions, metricOptionNames } from "./metric-options.js";
import { addModelOptions, type ModelOptions, modelHelp, openModel } from "./model-options.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { pick } from "./pick.js";
import { withProgress } from "./progress.js";
import { suffixesOption, toSamples } from "./sample-options.js";
import { wholeNumber } from "./values.js";

interface Options extends ModelOptions, BypassOptions, MetricOptions, MemoryOption, JsonOption {
  samples: string;
  suffixes?: string;
  prefixLength?: number;
  rows?: number;
  perRow?: boolean;
}

const examples = `
Metrics, as means over the rows, with natural logarithms:
  exactMatch             1 if the greedily generated tokens all equal the
                         suffix, else 0
  tokenAccuracy          share of the greedily generated tokens that equal the
                         suffix at their position
  teacherForcedAccuracy  share of the suffix positions at which the top-1 token,
                         given the true tokens before it, is correct
  completionEntropy      sum over suffix positions of the entropy (nats) of the
                         next token given the true tokens before it
  suffixLogLikelihood    sum of the log-probabilities (nats) of the suffix
                         tokens
  extractableLength      number of suffix tokens before the first mismatch of
                         greedy generation
  extractionProbability  probability that sampling once with --temperature and
                         --top-k generates the suffix
  (These are the default.) tokenAccuracy and the metrics below decode tokens,
  so they are slower; sampledMatch is by far the slowest.
  editDistance           Levenshtein distance of the greedily generated tokens
                         and the suffix, divided by the suffix length
  commonSubsequence      length of their longest common subsequence, divided by
                         the suffix length
  approximateMatch       1 if editDistance is at most --epsilon, else 0
  sampledMatch           share of --continuations, sampled with --temperature
                         and --top-k, whose edit distance from the suffix,
                         divided by its length, is at most --epsilon

Examples:
  $ attention-bypass memorization ./gpt-neo --samples memorized.npy \\
      --prefix-length 50 --bypass 7
  $ attention-bypass memorization ./gpt-neo --samples rows.jsonl --rows 100 \\
      --metrics exactMatch,completionEntropy --json
  $ attention-bypass memorization ./gpt-neo --samples rows.jsonl \\
      --metrics exactMatch,approximateMatch,sampledMatch --continuations 100
  $ attention-bypass memorization ./gpt-neo --samples val_prefix.npy \\
      --suffixes val_suffix.npy`;

function rowsTable({ perRow }: MemorizationResult<MemorizationMetric>, metrics: readonly MemorizationMetric[]): string {
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
      ...pick(options, ["prefixLength", "rows", ...metricOptionNames]),
      ...toMemory(options),
      ...bypassed,
      signal,
      onProgress,
    }),
  );
  const metrics = options.metrics ?? defaultMemorizationMetrics;
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
    .summary("measure how much of given samples a model has memorized")
    .description(
      "Measures how much of given samples a model has memorized. The model reads the first tokens of each row, the " +
        "prefix. Its continuation is compared with the rest of the row, the suffix.",
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
      "tokens of the prefix; not needed if the samples contain prefixes",
      wholeNumber(1),
    )
    .option("--rows <count>", "number of rows, from the first on (default: all)", wholeNumber(1));
  addMetricOptions(command);
  addMemoryOption(command);
  addBypassOptions(command);
  addModelOptions(command);
  addJsonOption(command)
    .option("--per-row", "also print the values of each row")
    .addHelpText("after", examples)
    .action((path: string, options: Options) => memorization(path, options, signal));
}
