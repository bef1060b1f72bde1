import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { type Command, Option } from "commander";
import type { Bypass } from "../bypass/bypass.js";
import { formats } from "../conversion/written-plan.js";
import { type ConvertOptions, convert } from "../convert.js";
import { addBypassOptions, type BypassOptions, toBypass, withMeans } from "./bypass-options.js";
import { revisionFlag, revisionHelp } from "./hub-model.js";
import {
  dtypeOption,
  keyHelp,
  modelHelp,
  nonFiniteHelp,
  openModel,
  tokenizerHelp,
  trustHelp,
} from "./model-options.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { pick } from "./pick.js";
import { withProgress } from "./progress.js";

type Options = Pick<
  ConvertOptions,
  "allowNonFinite" | "dtype" | "format" | "key" | "revision" | "tokenizer" | "trust"
> &
  BypassOptions &
  JsonOption;

const examples = `
All commands load what is written. Python runs an archive with
torch.jit.load(path)(input_ids), and transformers loads a checkpoint folder.
The output is written under a temporary name and renamed when complete. A file
of the same name is replaced; an existing folder must be empty. Names of other
formats (.safetensors, .bin, .onnx, .gguf) are refused. --json prints path and
bytes.

A bypass is written into the weights, and can't be undone. A checkpoint can't
contain --mode short-circuit; an archive can.

Examples:
  $ attention-bypass convert ./pythia-160m pythia-160m.pt
  $ attention-bypass convert ./pythia-160m pythia-160m-q4 \\
      --format checkpoint --bypass q4
  $ attention-bypass convert ./traced/model.pt gpt-neo.pt --dtype float16 \\
      --tokenizer ./gpt2`;

/** Returns the bypass with the means of --mean-samples, for which the model is loaded. */
async function readBypass(from: string, options: Options, signal: AbortSignal): Promise<{ bypass?: Bypass }> {
  const bypass = toBypass(options);
  if (options.meanSamples === undefined) return bypass;
  const model = await openModel(
    from,
    pick(options, ["allowNonFinite", "json", "key", "revision", "tokenizer", "trust"]),
    signal,
  );
  try {
    return await withMeans(model, bypass, options, signal);
  } finally {
    await model.dispose();
  }
}

/** Returns the bytes of a file, or of the files in a folder. */
async function bytesOf(place: string): Promise<number> {
  const found = await stat(place);
  if (!found.isDirectory()) return found.size;
  const sizes = (await readdir(place)).map(async (name) => (await stat(path.join(place, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

async function convertModel(from: string, to: string, options: Options, signal: AbortSignal) {
  const bypass = await readBypass(from, options, signal);
  await withProgress("Converting", options, (onProgress) =>
    convert(from, to, {
      ...pick(options, ["allowNonFinite", "dtype", "format", "key", "revision", "tokenizer", "trust"]),
      ...bypass,
      signal,
      onProgress,
    }),
  );
  const bytes = await bytesOf(to);
  if (options.json) await printJson({ path: to, bytes });
  else await print(`${to}: ${(bytes / 2 ** 20).toFixed(1)} MiB\n`);
}

export function addConvert(program: Command, signal: AbortSignal): void {
  const command = program
    .command("convert")
    .summary("write a model as an archive or a checkpoint, with a bypass in it")
    .description(
      "Writes a model as one TorchScript archive that contains its config and tokenizer, or as a Hugging Face " +
        "checkpoint folder. Can write a bypass into the weights.",
    )
    .argument("<from>", modelHelp)
    .argument("<to>", "archive to write, such as model.pt, or new folder")
    .optionsGroup("Conversion options:")
    .addOption(
      new Option(
        "--format <format>",
        'one TorchScript archive, or a checkpoint folder with safetensors (default: "torchscript")',
      ).choices(formats),
    )
    .addOption(dtypeOption("the dtype in the checkpoint's config, or float32 if there is none"))
    .option(revisionFlag, revisionHelp)
    .option("--tokenizer <path>", tokenizerHelp)
    .option("--key <key>", keyHelp)
    .option("--trust", trustHelp)
    .option("--allow-non-finite", nonFiniteHelp);
  addBypassOptions(command);
  addJsonOption(command)
    .addHelpText("after", examples)
    .action((from: string, to: string, options: Options) => convertModel(from, to, options, signal));
}
