import { stat } from "node:fs/promises";
import type { Command } from "commander";
import { type ConvertOptions, convert } from "../convert.js";
import { dtypeOption, keyHelp, modelHelp, nonFiniteHelp, tokenizerHelp, trustHelp } from "./model-options.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { pick } from "./pick.js";
import { withProgress } from "./progress.js";

type Options = Pick<ConvertOptions, "allowNonFinite" | "dtype" | "key" | "tokenizer" | "trust"> & JsonOption;

const examples = `
The archive loads in every command here, and in Python with
torch.jit.load(path)(input_ids). It appears whole or not at all, and replaces a
file of the same name. Names of other formats (.safetensors, .bin, .onnx, .gguf)
are refused. With --json: path and bytes.

Examples:
  $ attention-bypass convert ./pythia-160m pythia-160m.pt
  $ attention-bypass convert ./traced/model.pt gpt-neo.pt --dtype float16 \\
      --tokenizer ./gpt2`;

async function convertModel(from: string, to: string, options: Options, signal: AbortSignal) {
  await withProgress("Converting", options, (onProgress) =>
    convert(from, to, {
      ...pick(options, ["allowNonFinite", "dtype", "key", "tokenizer", "trust"]),
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
    .description("Writes a model as one TorchScript archive, with its config and tokenizer inside.")
    .argument("<from>", modelHelp)
    .argument("<to>", "archive to write, such as model.pt")
    .optionsGroup("Conversion options:")
    .addOption(dtypeOption("the checkpoint's own where its config says one, else float32"))
    .option("--tokenizer <path>", tokenizerHelp)
    .option("--key <key>", keyHelp)
    .option("--trust", trustHelp)
    .option("--allow-non-finite", nonFiniteHelp);
  addJsonOption(command)
    .addHelpText("after", examples)
    .action((from: string, to: string, options: Options) => convertModel(from, to, options, signal));
}
