import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import type { NativeSource } from "../addon/native.js";
import { AttentionBypassError, systemCode } from "../errors/errors.js";
import { longestMessage, quoted } from "../errors/quoted.js";
import { validate } from "../errors/validation.js";
import { type ModelConfig, parseConfig, parseEndTokens } from "../families/config.js";
import { readSmallText } from "../files/regular-file.js";
import { chooseModel } from "./choose-model.js";
import { withHeadOfWeights } from "./tied-head.js";
import { archiveMark } from "./torch-archive.js";
import { readWeightsFile, type WeightsFile } from "./weights-file.js";

/** A thousand times what configs take. */
const longestConfig = 2 ** 20;
/** Room for a hundred thousand names. */
const longestIndex = 16 * 2 ** 20;
/** More shards than any checkpoint has; each is opened. */
const mostShards = 1000;

/** What a caller chooses of a model. */
export interface SourceOptions {
  /** The model's key in a file of several. */
  readonly key?: string | undefined;
}

/** A model as it lies on disk: what it is, where its weights are, and the files that come with it. */
export interface ModelSource {
  config: ModelConfig;
  /** The text that the config was read from. */
  configText: string;
  weights: NativeSource;
  /** The path of a TorchScript module that somebody else wrote: its code may compute something else than its weights. */
  traced: string | undefined;
  /** The weights are of such a module, here or before it was converted, and nobody has run it to compare. */
  unchecked: boolean;
  /** What was left out, one sentence each. */
  notices: string[];
  /** The text of tokenizer.json where it travels in an archive. */
  tokenizerText: string | undefined;
  /** The folder to look for a tokenizer in. */
  folder: string;
}

async function isThere(place: string): Promise<boolean> {
  return stat(place).then(
    () => true,
    () => false,
  );
}

const configCodes = { missing: "CONFIG_MISSING", invalid: "CONFIG_INVALID" } as const;

function readConfigText(folder: string): Promise<string> {
  const file = path.join(folder, "config.json");
  return readSmallText(file, `a config in ${file}`, longestConfig, configCodes);
}

/** The config of a folder, with the end tokens of its generation_config.json: generation ends as transformers' does. */
async function readConfig(folder: string, configText: string): Promise<ModelConfig> {
  const config = parseConfig(configText, path.join(folder, "config.json"));
  const file = path.join(folder, "generation_config.json");
  if (!(await isThere(file))) return config;
  const text = await readSmallText(file, `a config in ${file}`, longestConfig, configCodes);
  return { ...config, endTokens: parseEndTokens(text, file) };
}

const indexFields = v.looseObject({ weight_map: v.looseObject({}) });
const indexCodes = { missing: "WEIGHTS_MISSING", invalid: "WEIGHTS_INVALID" } as const;

/** The shards that an index names. Throws where one is missing, so that no shard is skipped. */
async function readIndex(file: string): Promise<string[]> {
  const invalid = (reason: string) =>
    new AttentionBypassError("WEIGHTS_INVALID", `expected an index of shards in ${file} but ${reason}`);
  const text = await readSmallText(file, `an index of shards in ${file}`, longestIndex, indexCodes);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw invalid(`parsing its JSON says ${quoted((error as Error).message, longestMessage)}`);
  }
  const names = new Set(Object.values(validate(indexFields, json, file, "WEIGHTS_INVALID").weight_map));
  if (names.size > mostShards) throw invalid(`it names ${names.size} files, and at most ${mostShards} are read`);
  const shards: string[] = [];
  for (const name of names) {
    if (typeof name !== "string" || name !== path.basename(name) || name.includes("\0")) {
      throw invalid(`it names ${typeof name === "string" ? quoted(name) : "something else"} as a file beside it`);
    }
    shards.push(path.join(path.dirname(file), name));
  }
  for (const shard of shards) {
    if (await isThere(shard)) continue;
    throw new AttentionBypassError(
      "WEIGHTS_MISSING",
      `expected the shard ${quoted(path.basename(shard))} that ${file} names but there is no such file; ` +
        "download the checkpoint whole",
    );
  }
  return shards;
}

/** What a folder is that holds no weights of a whole model, and what to do; undefined where nothing is known. */
function strangeFolder(folder: string, names: readonly string[]): AttentionBypassError | undefined {
  const refuse = (code: "CONFIG_MISSING" | "WEIGHTS_MISSING", reason: string) =>
    new AttentionBypassError(code, `expected a checkpoint in ${folder} but ${reason}`);
  if (names.includes("snapshots") && names.includes("blobs")) {
    return refuse("CONFIG_MISSING", "it is the top of a hub cache; give a folder in it: snapshots/<hash>");
  }
  if (names.some((name) => name.startsWith("models--")) && !names.includes("config.json")) {
    return refuse(
      "CONFIG_MISSING",
      "it is a hub cache of several models; give one: models--org--name/snapshots/<hash>",
    );
  }
  const weights = names.some((name) => /^(model|pytorch_model)\b.*\.(safetensors|bin|pt|json)$/.test(name));
  if (names.includes("adapter_config.json") && !weights) {
    return refuse(
      "WEIGHTS_MISSING",
      "it is a PEFT adapter, which changes a model that is elsewhere; merge them in Python: " +
        "model.merge_and_unload().save_pretrained(folder)",
    );
  }
  return undefined;
}

/** The files with the weights of a checkpoint folder. */
async function filesIn(folder: string, names: readonly string[]): Promise<string[]> {
  for (const name of ["model.safetensors", "pytorch_model.bin"]) {
    const index = `${name}.index.json`;
    if (names.includes(name)) return [path.join(folder, name)];
    if (names.includes(index)) return readIndex(path.join(folder, index));
  }
  if (names.includes("model.pt")) return [path.join(folder, "model.pt")];
  const shard = names.find((name) => /^(model|pytorch_model)-\d+-of-\d+\.(safetensors|bin)$/.test(name));
  if (shard !== undefined) {
    const index = shard.endsWith(".bin") ? "pytorch_model.bin.index.json" : "model.safetensors.index.json";
    throw new AttentionBypassError(
      "WEIGHTS_MISSING",
      `expected an index of the shards in ${folder}, such as ${quoted(shard)}, but found none; download ${index} too`,
    );
  }
  throw new AttentionBypassError(
    "WEIGHTS_MISSING",
    `expected model.safetensors, pytorch_model.bin, an index of either, or model.pt in ${folder} but found none`,
  );
}

/** The weights of one model out of its files. */
function weightsOf(files: readonly WeightsFile[], config: ModelConfig, place: string, { key }: SourceOptions) {
  const listed = files.flatMap(({ tensors }, file) => tensors.map(({ name, locate }) => ({ name, locate, file })));
  const { tensors, notices } = chooseModel(listed, config.family, key, place);
  const names = new Set<string>();
  for (const { name } of tensors) {
    // Hashes of names that are numbers alone can be foreseen, and so many made alike.
    const own = `.${name}`;
    if (names.has(own)) {
      throw new AttentionBypassError(
        "WEIGHTS_INVALID",
        `expected tensor ${quoted(name)} in ${place} once but found two`,
      );
    }
    names.add(own);
  }
  return {
    weights: {
      files: files.map(({ file }) => file),
      tensors: tensors.map(({ locate, file }) => {
        const { shape, strides, ...stored } = locate();
        return { ...stored, shape: [...shape], strides: [...strides], file };
      }),
    },
    traced: files.find(({ hasCode }) => hasCode)?.file.path,
    unchecked: files.some(({ hasCode }) => hasCode),
    notices,
  };
}

/** A folder of a checkpoint, or a file of weights with its config next to it. */
async function openCheckpoint(
  place: string,
  folder: string,
  readFiles: () => Promise<WeightsFile[]>,
  options: SourceOptions,
): Promise<ModelSource> {
  const configText = await readConfigText(folder);
  const config = await readConfig(folder, configText);
  const source = weightsOf(await readFiles(), config, place, options);
  return {
    config: await withHeadOfWeights(config, source.weights),
    configText,
    ...source,
    tokenizerText: undefined,
    folder,
  };
}

async function readAll(files: readonly string[]): Promise<WeightsFile[]> {
  const read: WeightsFile[] = [];
  for (const file of files) read.push(await readWeightsFile(file));
  return read;
}

const markFields = v.looseObject({ unchecked: v.optional(v.boolean(), false) });

/** Whether the mark of an archive of this package says so. */
function isUnchecked(mark: string | undefined): boolean {
  try {
    const fields = v.safeParse(markFields, JSON.parse(mark ?? "{}"));
    return !fields.success || fields.output.unchecked;
  } catch {
    return true;
  }
}

async function openFile(file: string, options: SourceOptions): Promise<ModelSource> {
  const weights = await readWeightsFile(file);
  const folder = path.dirname(file);
  const configText = weights.extra.get("config.json");
  if (configText === undefined) return openCheckpoint(file, folder, async () => [weights], options);
  const config = parseConfig(configText, `config.json in ${file}`);
  const source = weightsOf([weights], config, file, options);
  return {
    config: await withHeadOfWeights(config, source.weights),
    configText,
    ...source,
    // The code of this package is made from text of its own, never from an archive's.
    traced: undefined,
    unchecked: isUnchecked(weights.extra.get(archiveMark)),
    tokenizerText: weights.extra.get("tokenizer.json"),
    folder,
  };
}

async function missing(place: string, error: unknown): Promise<AttentionBypassError> {
  const likeHub = /^[\w.-]+\/[\w.-]+$/.test(place) && !(await isThere(path.dirname(place)));
  const way = likeHub
    ? `; for a model of the Hugging Face hub, download it first: hf download ${place} --local-dir ${path.basename(place)}`
    : "";
  return new AttentionBypassError(
    "FILE_NOT_FOUND",
    `expected a model in ${place} but there is no such file or folder (${systemCode(error)})${way}`,
    { cause: error },
  );
}

/**
 * Finds out what a path is: a Hugging Face checkpoint folder, or a file (an archive of this package, a traced
 * TorchScript module, one safetensors file or a state dictionary, with its config beside it). Nothing in it is run.
 */
export async function openSource(place: string, options: SourceOptions = {}): Promise<ModelSource> {
  const found = await stat(place).catch(async (error: unknown) => {
    throw await missing(place, error);
  });
  if (!found.isDirectory()) return openFile(place, options);
  const names = await readdir(place);
  const strange = strangeFolder(place, names);
  if (strange !== undefined) throw strange;
  return openCheckpoint(place, place, async () => readAll(await filesIn(place, names)), options);
}

export { archiveMark };
