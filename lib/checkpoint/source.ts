import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import type { NativeSource } from "../addon/native.js";
import { AttentionBypassError, systemCode } from "../errors/errors.js";
import { quoted } from "../errors/quoted.js";
import { visible } from "../errors/visible.js";
import { type ModelConfig, parseConfig, parseEndTokens } from "../families/config.js";
import { readSmallText } from "../files/regular-file.js";
import { chooseModel } from "./choose-model.js";
import { type Mark, markName, parseMark, type WrittenBypass, withShortCircuit, writtenName } from "./mark.js";
import { shardNames } from "./shard-index.js";
import { withHeadOfWeights } from "./tied-head.js";
import { readWeightsFile, type WeightsFile } from "./weights-file.js";

/** The most bytes of a config, a thousand times the usual size. */
const longestConfig = 2 ** 20;
/** The most bytes of an index of shards, enough for a hundred thousand names. */
const longestIndex = 16 * 2 ** 20;

/** Options of opening a model. */
export interface SourceOptions {
  /** The key of the model in a file with several models. */
  readonly key?: string | undefined;
}

/** A model on disk: its config, the places of its weights, and its other files. */
export interface ModelSource {
  config: ModelConfig;
  /** The text that the config was read from. */
  configText: string;
  weights: NativeSource;
  /**
   * The path of an untrusted TorchScript module, whose code may compute something else than its weights; else
   * undefined.
   */
  traced: string | undefined;
  /**
   * Whether the weights come from such a module, perhaps before a conversion, and its logits have not been compared.
   */
  unchecked: boolean;
  /** The bypasses that `convert` wrote into the weights. */
  bypasses: WrittenBypass[];
  /** One sentence for each part that was left out, and for each bypass in the weights. */
  notices: string[];
  /** The text of tokenizer.json if an archive contains it. */
  tokenizerText: string | undefined;
  /** The text of the chat template if an archive contains one. */
  chatTemplateText: string | undefined;
  /** The folder in which to look for a tokenizer. */
  folder: string;
  /** Whether it is an archive of this package, which contains its config. */
  archive: boolean;
}

async function exists(place: string): Promise<boolean> {
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

/** Reads the config of a folder, with the end tokens of generation_config.json, which transformers uses too. */
async function readConfig(folder: string, configText: string): Promise<ModelConfig> {
  const config = parseConfig(configText, path.join(folder, "config.json"));
  const file = path.join(folder, "generation_config.json");
  if (!(await exists(file))) return config;
  const text = await readSmallText(file, `a config in ${file}`, longestConfig, configCodes);
  return { ...config, endTokens: parseEndTokens(text, file) };
}

const indexCodes = { missing: "WEIGHTS_MISSING", invalid: "WEIGHTS_INVALID" } as const;

/** Returns the paths of the shards that an index names. Throws if one does not exist. */
async function readIndex(file: string): Promise<string[]> {
  const text = await readSmallText(file, `an index of shards in ${file}`, longestIndex, indexCodes);
  const shards = shardNames(text, file).map((name) => path.join(path.dirname(file), name));
  for (const shard of shards) {
    if (await exists(shard)) continue;
    throw new AttentionBypassError(
      "WEIGHTS_MISSING",
      `expected the shard ${quoted(path.basename(shard))} that ${file} names but there is no such file; ` +
        "download the complete checkpoint",
    );
  }
  return shards;
}

/** Returns the error for a known kind of folder that is not a checkpoint, such as a hub cache; undefined for others. */
function errorOfOtherFolder(folder: string, names: readonly string[]): AttentionBypassError | undefined {
  const refuse = (code: "CONFIG_MISSING" | "WEIGHTS_MISSING", reason: string) =>
    new AttentionBypassError(code, `expected a checkpoint in ${folder} but ${reason}`);
  if (names.includes("snapshots") && names.includes("blobs")) {
    return refuse(
      "CONFIG_MISSING",
      "it is the top folder of a hub cache entry; give one of its snapshots: snapshots/<hash>",
    );
  }
  if (names.some((name) => name.startsWith("models--")) && !names.includes("config.json")) {
    return refuse(
      "CONFIG_MISSING",
      "it is a hub cache of several models; give one model: models--org--name/snapshots/<hash>",
    );
  }
  const weights = names.some((name) => /^(model|pytorch_model)\b.*\.(safetensors|bin|pt|json)$/.test(name));
  if (names.includes("adapter_config.json") && !weights) {
    return refuse(
      "WEIGHTS_MISSING",
      "it is a PEFT adapter without its base model; merge both in Python: " +
        "model.merge_and_unload().save_pretrained(folder)",
    );
  }
  return undefined;
}

/** Returns the paths of the weights files in a checkpoint folder. */
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

/** Returns the weights of one model in the files. */
function weightsOf(files: readonly WeightsFile[], config: ModelConfig, place: string, { key }: SourceOptions) {
  const listed = files.flatMap(({ tensors }, file) => tensors.map(({ name, locate }) => ({ name, locate, file })));
  const { tensors, notices } = chooseModel(listed, config.family, key, place);
  const names = new Set<string>();
  for (const { name } of tensors) {
    // With a dot, because hashes of purely numeric strings are predictable and could be made equal on purpose.
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
    notices,
  };
}

/** Returns what the mark of a converted model says about its source. */
function ofMark({ unchecked, bypasses }: Mark, notices: readonly string[]) {
  const written = bypasses.map(
    (bypass) => `the weights contain a bypass of ${writtenName(bypass)}, written by attention-bypass ${bypass.version}`,
  );
  return { unchecked, bypasses, notices: [...notices, ...written.map((notice) => visible(notice))] };
}

/** Opens a checkpoint folder, or a weights file with its config in the same folder. */
async function openCheckpoint(
  place: string,
  folder: string,
  readFiles: () => Promise<WeightsFile[]>,
  options: SourceOptions,
): Promise<ModelSource> {
  const configText = await readConfigText(folder);
  const config = await readConfig(folder, configText);
  const files = await readFiles();
  const source = weightsOf(files, config, place, options);
  // All shards have the same mark.
  const mark = parseMark(files[0]?.extra.get(markName), place);
  return {
    config: await withHeadOfWeights(config, source.weights),
    configText,
    ...source,
    ...ofMark({ ...mark, unchecked: mark.unchecked || source.traced !== undefined }, source.notices),
    tokenizerText: undefined,
    chatTemplateText: undefined,
    folder,
    archive: false,
  };
}

async function readAll(files: readonly string[]): Promise<WeightsFile[]> {
  const read: WeightsFile[] = [];
  for (const file of files) read.push(await readWeightsFile(file));
  return read;
}

async function openFile(file: string, options: SourceOptions): Promise<ModelSource> {
  const weights = await readWeightsFile(file);
  const folder = path.dirname(file);
  const configText = weights.extra.get("config.json");
  if (configText === undefined) return openCheckpoint(file, folder, async () => [weights], options);
  const mark = parseMark(weights.extra.get(markName), file);
  const config = withShortCircuit(parseConfig(configText, `config.json in ${file}`), mark, file);
  const source = weightsOf([weights], config, file, options);
  return {
    config: await withHeadOfWeights(config, source.weights),
    configText,
    ...source,
    // The code in an archive of this package is never run: models are built from the package's own text.
    traced: undefined,
    ...ofMark(mark, source.notices),
    tokenizerText: weights.extra.get("tokenizer.json"),
    chatTemplateText: weights.extra.get("chat_template.json"),
    folder,
    archive: true,
  };
}

function missing(place: string, error: unknown): AttentionBypassError {
  return new AttentionBypassError(
    "FILE_NOT_FOUND",
    `expected a model in ${place} but there is no such file or folder (${systemCode(error)})`,
    { cause: error },
  );
}

/**
 * Opens a model: a Hugging Face checkpoint folder or a file. A file is an archive of this package, or a traced
 * TorchScript module, a safetensors file or a state dictionary with config.json in the same folder. No code in it is
 * run.
 */
export async function openSource(place: string, options: SourceOptions = {}): Promise<ModelSource> {
  const found = await stat(place).catch((error: unknown) => {
    throw missing(place, error);
  });
  if (!found.isDirectory()) return openFile(place, options);
  const names = await readdir(place);
  const error = errorOfOtherFolder(place, names);
  if (error !== undefined) throw error;
  return openCheckpoint(place, place, async () => readAll(await filesIn(place, names)), options);
}
