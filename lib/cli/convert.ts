import { stat } from "node:fs/promises";
import type { Command } from "commander";
import { type ConvertOptions, convert } from "../convert.js";
import { revisionFlag, revisionHelp } from "./hub-model.js";
import { dtypeOption, keyHelp, modelHelp, nonFiniteHelp, tokenizerHelp, trustHelp } from "./model-options.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { pick } from "./pick.js";
import { withProgress } from "./progress.js";

type Options = Pick<ConvertOptions, "allowNonFinite" | "dtype" | "key" | "revision" | "tokenizer" | "trust"> &
  JsonOption;

const examples = `
All commands load the archive, and Python runs it with
torch.jit.load(path)(input_ids). It is written to a temporary file and renamed
when complete, and replaces a file of the same name. Names of other formats
(.safetensors, .bin, .onnx, .gguf) are refused. --json prints path and bytes.

Examples:
  $ attention-bypass convert ./pythia-160m pythia-160m.pt
  $ attention-bypass convert ./traced/model.pt gpt-neo.pt --dtype float16 \\
      --tokenizer ./gpt2`;

async function convertModel(from: string, to: string, options: Options, signal: AbortSignal) {
  await withProgress("Converting", options, (onProgress) =>
    convert(from, to, {
      ...pick(options, ["allowNonFinite", "dtype", "key", "revision", "tokenizer", "trust"]),
      signal,
      onProgress,
    }),
  );
  const { size: bytes } = await stat(to);
  if (options.json) await printJson({ path: to, bytes });
  else await print(`${to}: ${(bytes / 2 ** 20).toFixed(1)} MiB\n`);
}

export function addConvert(program: Command, signal: AbortSignal): void {
  const command = program
    .command("convert")
    .summary("write a model as one TorchScript archive")
    .description("Writes a model as one TorchScript archive that contains its config and tokenizer.")
    .argument("<from>", modelHelp)
    .argument("<to>", "archive to write, such as model.pt")
    .optionsGroup("Conversion options:")
    .addOption(dtypeOption("the dtype in the checkpoint's config, or float32 if there is none"))
    .option(revisionFlag, revisionHelp)
    .option("--tokenizer <path>", tokenizerHelp)
    .option("--key <key>", keyHelp)
    .option("--trust", trustHelp)
    .option("--allow-non-finite", nonFiniteHelp);
  addJsonOption(command)
    .addHelpText("after", examples)
    .action((from: string, to: string, options: Options) => convertModel(from, to, options, signal));
}
