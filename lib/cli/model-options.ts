import { type Command, Option } from "commander";
import { type LoadModelOptions, loadModel } from "../load-model.js";
import type { Model } from "../model.js";
import { modelPath, type RevisionOption, revisionFlag, revisionHelp } from "./hub-model.js";
import type { JsonOption } from "./output.js";
import { pick } from "./pick.js";
import { log, tell, withProgress } from "./progress.js";
import { wholeNumber } from "./values.js";

export const modelOptionNames = [
  "allowNonFinite",
  "device",
  "dtype",
  "key",
  "offload",
  "threads",
  "tokenizer",
  "trust",
] as const;

export type ModelOptions = Pick<LoadModelOptions, (typeof modelOptionNames)[number]> & RevisionOption;

export const modelHelp =
  "Hugging Face checkpoint folder, archive made by convert, traced TorchScript with config.json next to it, or name of a model on the Hugging Face hub: org/name or org/name@revision";

export function dtypeOption(automatic: string): Option {
  return new Option("--dtype <dtype>", `precision of the weights; auto: ${automatic} (default: auto)`).choices([
    "auto",
    "float32",
    "bfloat16",
    "float16",
  ]);
}

export const keyHelp =
  "if the weights contain several models: the prefix of the tensor names of one of them, such as ema";

export const trustHelp =
  "run the code of a traced module in a child process to check the weights; the process is not a sandbox";

export const nonFiniteHelp = "accept weights that are NaN or infinite";

export const tokenizerHelp =
  "tokenizer.json, or a folder with tokenizer.json or with vocab.json and merges.txt (default: the model's)";

export function addModelOptions(command: Command): Command {
  return command
    .optionsGroup("Model options:")
    .option(revisionFlag, revisionHelp)
    .option("--device <device>", "auto, cpu, cuda or cuda:N (default: auto, which is CUDA if available)")
    .addOption(dtypeOption("float32 on the CPU, the checkpoint's dtype on CUDA"))
    .option("--offload", "keep the weights on disk and load one block at a time, for models larger than memory")
    .option("--threads <count>", "number of CPU threads (default: one for each core)", wholeNumber(1))
    .option("--tokenizer <path>", tokenizerHelp)
    .option("--key <key>", keyHelp)
    .option("--trust", trustHelp)
    .option("--allow-non-finite", nonFiniteHelp);
}

export async function openModel(
  reference: string,
  options: ModelOptions & JsonOption,
  signal: AbortSignal,
): Promise<Model> {
  const path = await modelPath(reference, options, signal);
  const model = await withProgress("Loading", options, (onProgress) =>
    loadModel(path, {
      ...pick(options, modelOptionNames),
      signal,
      onProgress,
    }),
  );
  const chosen = options.device === undefined || options.device === "auto";
  const line = `${reference} in ${model.dtype} on ${model.device}, ${model.deviceReason}`;
  if (chosen) tell(line, options);
  log(line, options);
  for (const notice of model.notices) {
    tell(notice, options);
    log(notice, options);
  }
  return model;
}
