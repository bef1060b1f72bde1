import { shardNames } from "../checkpoint/shard-index.js";
import { AttentionBypassError } from "../errors/errors.js";
import { quoted } from "../errors/quoted.js";
import { tokenizerFileNames } from "../tokenizer/file-names.js";
import type { HubFile, Listing } from "./listing.js";

/** The files of a model besides its weights, in the order of their download. */
const smallFiles = ["config.json", "generation_config.json", ...tokenizerFileNames];

/** The forms of weights. The first that a model has is downloaded, the others never are. */
const forms = ["model.safetensors", "pytorch_model.bin", "model.pt"];

/** Returns the file with the weights, or the index of its shards. Throws WEIGHTS_MISSING. */
function weightsOrIndex(names: { has(name: string): boolean }, place: string, others: Iterable<string>): string {
  for (const name of forms) {
    if (names.has(name)) return name;
    if (names.has(`${name}.index.json`)) return `${name}.index.json`;
  }
  const found = Array.from(others).filter((name) => /\.(safetensors|bin|h5|msgpack|gguf|onnx|pt|pth|ckpt)$/.test(name));
  const instead =
    found.length === 0
      ? "no weights"
      : `only ${found
          .slice(0, 3)
          .map((name) => quoted(name))
          .join(", ")}`;
  throw new AttentionBypassError(
    "WEIGHTS_MISSING",
    `expected model.safetensors, pytorch_model.bin, an index of either, or model.pt in ${place} but found ${instead}`,
  );
}

/**
 * Returns the paths of the weights: one file, or an index and the shards that it names. `readIndex` returns the text of
 * a file. Throws WEIGHTS_MISSING, WEIGHTS_INVALID.
 */
export async function weightPaths(
  names: ReadonlySet<string> | ReadonlyMap<string, unknown>,
  place: string,
  readIndex: (name: string) => Promise<string>,
): Promise<string[]> {
  const first = weightsOrIndex(names, place, names.keys());
  if (!first.endsWith(".index.json")) return [first];
  const shards = shardNames(await readIndex(first), `${first} of ${place}`);
  for (const shard of shards) {
    if (names.has(shard)) continue;
    throw new AttentionBypassError(
      "WEIGHTS_MISSING",
      `expected the shard ${quoted(shard)} that ${first} names in ${place} but there is no such file`,
    );
  }
  return [first, ...shards];
}

/** Returns the files of a model besides its weights. Throws CONFIG_MISSING. */
export function smallPaths(names: { has(name: string): boolean }, place: string): string[] {
  if (names.has("config.json")) return smallFiles.filter((name) => names.has(name));
  throw new AttentionBypassError(
    "CONFIG_MISSING",
    `expected config.json in ${place} but it has none; give a model in the format of transformers`,
  );
}

/**
 * Returns the files to download: config, tokenizer files and one form of weights, weights last. `readIndex` returns the
 * text of an index of shards. Throws CONFIG_MISSING, WEIGHTS_MISSING, WEIGHTS_INVALID.
 */
export async function wantedFiles(
  { files }: Listing,
  place: string,
  readIndex: (file: HubFile) => Promise<string>,
): Promise<HubFile[]> {
  const file = (name: string) => files.get(name) as HubFile;
  const others = smallPaths(files, place);
  const weights = await weightPaths(files, place, (name) => readIndex(file(name)));
  return [...others, ...weights].map(file);
}
