import path from "node:path";
import { type Command, Option } from "commander";
import { stringify } from "csv-stringify/sync";
import { type Bypass, type BypassMode, type BypassPart, bypassModes, bypassParts } from "../bypass/bypass.js";
import { AttentionBypassError } from "../errors/errors.js";
import { requireWritable, writeOutput } from "../files/output-file.js";
import { createScanReport } from "../report/scan-report.js";
import { reportFormat, writeReport } from "../report/write-report.js";
import type { ScanDocument } from "../scan/documents.js";
import type { ScanResult } from "../scan/result.js";
import { passageTable } from "../scan/table.js";
import { scanText } from "../scan/text.js";
import { meanSamplesOption, parseBlocks, parseHeads, readMeans } from "./bypass-options.js";
import { requireDistinct } from "./distinct-files.js";
import { readStandardInput } from "./input.js";
import { addMemoryOption, type MemoryOption, toMemory } from "./memory-option.js";
import { addModelOptions, type ModelOptions, modelHelp, openModel } from "./model-options.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { type OutputFormat, outputFormat } from "./output-format.js";
import { pick } from "./pick.js";
import { withProgress } from "./progress.js";
import { decimal, wholeNumber } from "./values.js";

interface Options extends ModelOptions, MemoryOption, JsonOption {
  bypass?: Bypass[];
  heads?: Bypass[];
  part?: BypassPart;
  mode?: BypassMode;
  meanSamples?: string;
  prefixLength?: number;
  suffixLength?: number;
  stride?: number;
  strideCharacters?: number;
  temperature?: number;
  topK?: number;
  threshold?: number;
  resume?: string;
  csv?: boolean;
  output?: string;
  report?: string;
}

const examples = `
Each .txt file is a document, and so is each row of a JSON lines file (.jsonl,
.ndjson) or Parquet file with a field "text". Files may be compressed with gzip
or zstd. Prints how many passages were found, and how many remain under each
bypass. JSON contains the passages with their text and offsets, and the values
of each window. CSV has one line for each passage.

Examples:
  $ attention-bypass scan ./pythia-160m book.txt --bypass q4 \\
      --report scan.html
  $ attention-bypass scan ./pythia-160m mails.jsonl notes --bypass 5 \\
      --bypass 4-7 --mode short-circuit --resume scan.part \\
      --output scan.json
  $ attention-bypass scan ./pythia-160m book.txt.gz --stride-characters 10 \\
      --top-k 40 --csv`;

/** Returns the bypasses of the options. The part applies to blocks, the mode to all of them. */
function bypassesOf({ bypass = [], heads = [], part, mode, meanSamples }: Options): Bypass[] {
  const required = (option: string, other: string) =>
    new AttentionBypassError("INVALID_ARGUMENT", `expected ${option} with ${other} but it is not given`);
  if (mode === "mean" && meanSamples === undefined) throw required("--mean-samples", "--mode mean");
  if (mode !== "mean" && meanSamples !== undefined) throw required("--mode mean", "--mean-samples");
  const blocks = bypass.map((one) => ({ ...one, ...(part && { part }) }));
  const all = [...blocks, ...heads].map((one) => ({ ...one, ...(mode && { mode }) }));
  if (all.length === 0 && (mode ?? part) !== undefined) {
    throw required("--bypass or --heads", mode === undefined ? "--part" : "--mode");
  }
  return all;
}

function strideOf({ stride, strideCharacters }: Options): { stride?: number | { characters: number } } {
  if (stride !== undefined && strideCharacters !== undefined) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      "expected --stride or --stride-characters but received both; omit one of them",
    );
  }
  if (strideCharacters !== undefined) return { stride: { characters: strideCharacters } };
  return stride === undefined ? {} : { stride };
}

function toText(result: ScanResult, format: OutputFormat): string {
  if (format === "json") return `${JSON.stringify(result, null, 2)}\n`;
  return format === "csv" ? stringify(passageTable(result)) : scanText(result);
}

async function toDocument(file: string, signal: AbortSignal): Promise<ScanDocument> {
  return file === "-" ? { name: "standard input", text: await readStandardInput(signal) } : { file };
}

async function scan(model: string, files: readonly string[], options: Options, signal: AbortSignal) {
  const bypasses = bypassesOf(options);
  const stride = strideOf(options);
  const format = outputFormat(options);
  if (options.report !== undefined) reportFormat(options.report, "--report");
  await requireDistinct(
    [
      ["<model>", model],
      ["--mean-samples", options.meanSamples],
      ["--tokenizer", options.tokenizer],
      ...files.map((file) => ["<files>", file] as const),
    ],
    [
      ["--resume", options.resume],
      ["--output", options.output],
      ["--report", options.report],
    ],
  );
  for (const file of [options.output, options.report]) if (file !== undefined) await requireWritable(file);
  const documents: ScanDocument[] = [];
  for (const file of files) documents.push(await toDocument(file, signal));
  await using loaded = await openModel(model, options, signal);
  const means = await readMeans(loaded, options, signal);
  const result = await withProgress("Scanning", options, (onProgress) =>
    loaded.scan(documents, {
      ...pick(options, ["prefixLength", "suffixLength", "temperature", "topK", "threshold", "resume"]),
      ...stride,
      bypasses: bypasses.map((bypass) => ({ ...bypass, ...means })),
      ...toMemory(options),
      signal,
      onProgress,
    }),
  );
  if (options.output !== undefined) await writeOutput(options.output, toText(result, format));
  else if (format === "json") await printJson(result);
  else await print(toText(result, format));
  // Last, so that a failure to draw a figure does not lose the result.
  if (options.report !== undefined) {
    await writeReport(createScanReport(result, { name: path.basename(path.resolve(model)) }), options.report);
  }
}

export function addScan(program: Command, signal: AbortSignal): void {
  const command = program
    .command("scan")
    .summary("find the passages of documents that a model has memorized")
    .description(
      "Finds the passages of documents that a model has memorized, and what remains of them under bypasses. A window " +
        "slides over each document. Its first tokens, the prefix, are given to the model; passages are where the model " +
        "generates the following tokens, the suffix, with at least the probability --threshold.",
    )
    .argument("<model>", modelHelp)
    .argument("<files...>", 'documents: text files, JSON lines, Parquet, or folders of them; "-" reads standard input')
    .optionsGroup("Scan options:")
    .option("--prefix-length <count>", "tokens of a window that the model is given (default: 50)", wholeNumber(1))
    .option("--suffix-length <count>", "tokens of a window that are scored (default: 50)", wholeNumber(1))
    .option("--stride <count>", "tokens from one window to the next (default: 10)", wholeNumber(1))
    .option("--stride-characters <count>", "instead: a window from each so many characters on", wholeNumber(1))
    .option(
      "--threshold <probability>",
      "extraction probability from which on windows form passages (default: 0.001)",
      decimal,
    )
    .option("--temperature <number>", "sampling temperature (default: 1)", decimal)
    .option("--top-k <count>", "sample only from so many most probable tokens (default: all)", wholeNumber(1))
    .option("--resume <file>", "save progress to this file; continue from it if it exists");
  addMemoryOption(command)
    .optionsGroup("Bypass options:")
    .option(
      "--bypass <blocks>",
      "a set of blocks to compare with, such as 7, 5,6, 4-7, 4- or q4; may be repeated",
      (text: string, before: readonly Bypass[] = []) => [...before, { blocks: parseBlocks(text) }],
    )
    .option(
      "--heads <heads>",
      "a set of heads, such as 3.0 or 3.0,3.5 (block, full stop, head); may be repeated",
      (text: string, before: readonly Bypass[] = []) => [...before, { heads: parseHeads(text) }],
    )
    .addOption(new Option("--part <part>", 'part of the blocks to bypass (default: "attention")').choices(bypassParts))
    .addOption(new Option("--mode <mode>", 'what replaces the output (default: "zero")').choices(bypassModes))
    .addOption(meanSamplesOption);
  addModelOptions(command);
  addJsonOption(command)
    .option("--csv", "print the passages as CSV, one line for each")
    .option("--output <file>", "write the result to a file: .json, .csv or .txt; another name needs --json or --csv")
    .option("--report <file>", "also write a report: .html, .md with figures as separate files, .svg or .png")
    .addHelpText("after", examples)
    .action((model: string, files: string[], options: Options) => scan(model, files, options, signal));
}
