import path from "node:path";
import type { Command } from "commander";
import { stringify } from "csv-stringify/sync";
import { effectsTable } from "../effects/table.js";
import { effectsText } from "../effects/text.js";
import { AttentionBypassError } from "../errors/errors.js";
import { requireWritable, writeOutput } from "../files/output-file.js";
import { createEffectsReport } from "../report/effects-report.js";
import { reportFormat, writeReport } from "../report/write-report.js";
import type { BypassFamily } from "../sweep/families.js";
import { addBypassOptions, type BypassOptions, readMeans } from "./bypass-options.js";
import { requireDistinct } from "./distinct-files.js";
import { addMemoryOption, type MemoryOption, toMemory } from "./memory-option.js";
import { addModelOptions, type ModelOptions, modelHelp, openModel } from "./model-options.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { outputFormat } from "./output-format.js";
import { pick } from "./pick.js";
import { withProgress } from "./progress.js";
import { suffixesOption, toSamples } from "./sample-options.js";
import { parseFamilies } from "./sweep.js";
import { wholeNumber } from "./values.js";

interface Options extends ModelOptions, BypassOptions, MemoryOption, JsonOption {
  over?: BypassFamily[];
  samples: string;
  suffixes?: string;
  prefixLength?: number;
  rows?: number;
  csv?: boolean;
  output?: string;
  report?: string;
}

const examples = `
The total effect is the change of the suffix's log-likelihood with everything
after the bypass recomputed. For the direct effect, all other attention and MLP
outputs stay those of the unmodified model. What later parts make up for is the
difference. JSON also contains the effects on the logits of the true tokens, the
direct contribution of each attention and MLP to them and its change, and the
values of each row. docs/effects.md defines the numbers.

Examples:
  $ attention-bypass effects ./pythia-160m --samples memorized.npy \\
      --prefix-length 32 --bypass q4
  $ attention-bypass effects ./pythia-160m --samples memorized.npy \\
      --prefix-length 32 --over blocks --mode short-circuit \\
      --output effects.json --report effects.html`;

/** Returns the bypasses: families, and the one that the options name. Defaults to each block. */
function swept({ over = [], bypass, heads }: Options) {
  const one =
    bypass === undefined && heads === undefined ? [] : [{ ...(bypass && { blocks: bypass }), ...(heads && { heads }) }];
  const all = [...over, ...one];
  return all.length > 0 ? { over: all } : {};
}

function requireMeans({ mode, meanSamples }: Options): void {
  if ((mode === "mean") === (meanSamples !== undefined)) return;
  const [missing, given] = mode === "mean" ? ["--mean-samples", "--mode mean"] : ["--mode mean", "--mean-samples"];
  throw new AttentionBypassError("INVALID_ARGUMENT", `expected ${missing} with ${given} but it is not given`);
}

async function effects(model: string, options: Options, signal: AbortSignal) {
  requireMeans(options);
  const format = outputFormat(options);
  // Checks all outputs first, so that the work is not lost at the end.
  if (options.report !== undefined) reportFormat(options.report, "--report");
  await requireDistinct(
    [
      ["<model>", model],
      ["--samples", options.samples],
      ["--suffixes", options.suffixes],
      ["--mean-samples", options.meanSamples],
      ["--tokenizer", options.tokenizer],
    ],
    [
      ["--output", options.output],
      ["--report", options.report],
    ],
  );
  for (const file of [options.output, options.report]) if (file !== undefined) await requireWritable(file);
  await using loaded = await openModel(model, options, signal);
  const means = await readMeans(loaded, options, signal);
  const result = await withProgress("Measuring", options, (onProgress) =>
    loaded.effects(toSamples(options), {
      ...swept(options),
      ...pick(options, ["part", "mode", "prefixLength", "rows"]),
      ...means,
      ...toMemory(options),
      signal,
      onProgress,
    }),
  );
  const text = {
    json: () => `${JSON.stringify(result, null, 2)}\n`,
    csv: () => stringify(effectsTable(result)),
    text: () => effectsText(result),
  };
  if (options.output !== undefined) await writeOutput(options.output, text[format]());
  else if (format === "json") await printJson(result);
  else await print(text[format]());
  // Last, so that a failure to draw a figure does not lose the result.
  if (options.report !== undefined) {
    await writeReport(createEffectsReport(result, { name: path.basename(path.resolve(model)) }), options.report);
  }
}

export function addEffects(program: Command, signal: AbortSignal): void {
  const command = program
    .command("effects")
    .summary("measure what later parts make up for under a bypass")
    .description(
      "Measures the total and the direct effect of bypasses on the log-likelihood of suffixes, and which attention and " +
        "MLPs compensate for them.",
    )
    .argument("<model>", modelHelp)
    .optionsGroup("Sample options:")
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
  addMemoryOption(command);
  addBypassOptions(command).option(
    "--over <sets>",
    "what to bypass in turn, as in sweep: blocks, heads, quartiles, pairs, window:N, or several separated by commas (default: blocks, unless --bypass or --heads is given)",
    parseFamilies,
  );
  addModelOptions(command);
  addJsonOption(command)
    .option("--csv", "print the table as CSV, one line for each bypass")
    .option("--output <file>", "write the result to a file: .json, .csv or .txt; another name needs --json or --csv")
    .option("--report <file>", "also write a report: .html, .md with figures as separate files, .svg or .png")
    .addHelpText("after", examples)
    .action((model: string, options: Options) => effects(model, options, signal));
}
