import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { type ModelConfig, parseConfig, parseEndTokens } from "./config.js";
import { AttentionBypassError, systemCode } from "./errors.js";
import type { Addon, NativeSource } from "./native.js";
import { readSafetensorsHeader } from "./safetensors.js";
import { withHeadOfWeights } from "./tied-head.js";
import { archiveTensors, openArchive } from "./torch-archive.js";
import { validate } from "./validation.js";

/** Marks an archive of this package, and says with which version it was made. */
export const archiveMark = "attention-bypass.json";

/** A model as it lies on disk: what it is, where its weights are, and the files that come with it. */
export interface ModelSource {
  config: ModelConfig;
  /** The text that the config was read from. */
  configText: string;
  weights: NativeSource;
  /** The text of tokenizer.json where it travels in an archive. */
  tokenizerText: string | undefined;
  /** The folder to look for a tokenizer in. */
  folder: string;
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function readConfigText(folder: string): Promise<string> {
  const file = path.join(folder, "config.json");
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new AttentionBypassError("CONFIG_MISSING", `expected a config in ${file} but it can't be read`, {
      cause: error,
    });
  }
}

/** The config of a folder, with the end tokens of its generation_config.json: generation ends as transformers' does. */
async function readConfig(folder: string, configText: string): Promise<ModelConfig> {
  const config = parseConfig(configText, path.join(folder, "config.json"));
  const file = path.join(folder, "generation_config.json");
  if (!(await isFile(file))) return config;
  return { ...config, endTokens: parseEndTokens(await readFile(file, "utf8"), file) };
}

const indexFields = v.object({ weight_map: v.record(v.string(), v.string()) });

/** The shards that an index names. Throws where one is missing, so that no shard is skipped. */
async function readIndex(file: string): Promise<string[]> {
  const json: unknown = await readFile(file, "utf8")
    .then(JSON.parse)
    .catch((error: Error) => {
      throw new AttentionBypassError("WEIGHTS_INVALID", `expected JSON in ${file} but ${error.message}`);
    });
  const names = Object.values(validate(indexFields, json, file, "WEIGHTS_INVALID").weight_map);
  const shards = [...new Set(names)].map((name) => path.join(path.dirname(file), name));
  for (const shard of shards) {
    if (!(await isFile(shard))) {
      throw new AttentionBypassError(
        "WEIGHTS_MISSING",
        `expected the shard ${shard} that ${path.basename(file)} names but there is no such file`,
      );
    }
  }
  return shards;
}

async function safetensors(files: string[]): Promise<NativeSource> {
  return { tensors: (await Promise.all(files.map(readSafetensorsHeader))).flat(), traced: "" };
}

/** State dictionaries, or a module that somebody else has written: it may compute anything, so it is checked. */
async function archives(addon: Addon, files: string[]): Promise<NativeSource> {
  const opened = files.map((file) => ({ file, archive: openArchive(addon, file) }));
  const tensors = await Promise.all(opened.map(({ file, archive }) => archiveTensors(archive, file)));
  return {
    tensors: tensors.flat(),
    traced: opened.find(({ archive }) => archive.hasCode)?.file ?? "",
  };
}

async function folderWeights(addon: Addon, folder: string): Promise<NativeSource> {
  const file = (name: string) => path.join(folder, name);
  if (await isFile(file("model.safetensors"))) return safetensors([file("model.safetensors")]);
  if (await isFile(file("model.safetensors.index.json"))) {
    return safetensors(await readIndex(file("model.safetensors.index.json")));
  }
  if (await isFile(file("pytorch_model.bin"))) return archives(addon, [file("pytorch_model.bin")]);
  if (await isFile(file("pytorch_model.bin.index.json"))) {
    return archives(addon, await readIndex(file("pytorch_model.bin.index.json")));
  }
  if (await isFile(file("model.pt"))) return archives(addon, [file("model.pt")]);
  throw new AttentionBypassError(
    "WEIGHTS_MISSING",
    `expected model.safetensors, pytorch_model.bin, an index of either, or model.pt in ${folder} but found none`,
  );
}

async function openArchiveSource(addon: Addon, file: string): Promise<ModelSource> {
  const folder = path.dirname(file);
  const archive = openArchive(addon, file);
  const { extra } = archive;
  if (extra[archiveMark] !== undefined && extra["config.json"] !== undefined) {
    const configText = extra["config.json"];
    const weights = { tensors: await archiveTensors(archive, file), traced: "" };
    const config = await withHeadOfWeights(parseConfig(configText, `config.json in ${file}`), weights.tensors);
    return { config, configText, weights, tokenizerText: extra["tokenizer.json"], folder };
  }
  const configText = await readConfigText(folder);
  const weights = await archives(addon, [file]);
  const config = await withHeadOfWeights(await readConfig(folder, configText), weights.tensors);
  return { config, configText, weights, tokenizerText: undefined, folder };
}

/**
 * Finds out what a path is: a Hugging Face checkpoint folder, or a file (an archive of this package, a traced
 * TorchScript module, one safetensors file or a state dictionary, with its config beside it).
 */
export async function openSource(addon: Addon, place: string): Promise<ModelSource> {
  const found = await stat(place).catch((error: unknown) => {
    throw new AttentionBypassError(
      "FILE_NOT_FOUND",
      `expected a model in ${place} but there is no such file or folder (${systemCode(error)})`,
      { cause: error },
    );
  });
  if (!found.isDirectory() && !place.endsWith(".safetensors")) return openArchiveSource(addon, place);
  const folder = found.isDirectory() ? place : path.dirname(place);
  const configText = await readConfigText(folder);
  const configOfFolder = await readConfig(folder, configText);
  const weights = found.isDirectory() ? await folderWeights(addon, folder) : await safetensors([place]);
  const config = await withHeadOfWeights(configOfFolder, weights.tensors);
  return { config, configText, weights, tokenizerText: undefined, folder };
}
