import { writeFile } from "node:fs/promises";
import path from "node:path";
import { packageVersion } from "../addon/addon.js";
import type { Addon, NativeModel } from "../addon/native.js";
import { markName, markText } from "../checkpoint/mark.js";
import { complete, type OperationOptions, part, run } from "../operation/operation.js";
import { checkpointConfig, generationConfig } from "./config-json.js";
import type { Conversion } from "./conversion.js";
import { readmeOf } from "./readme.js";
import { toShards } from "./shards.js";
import { copyFiles, writeTokenizer } from "./tokenizer-files.js";

/** Writes a checkpoint into an empty folder. `shardSize`: the most bytes of a file. */
export async function writeCheckpoint(
  addon: Addon,
  native: NativeModel,
  conversion: Conversion,
  { folder, shardSize }: { folder: string; shardSize: number },
  options: OperationOptions,
): Promise<void> {
  const { source, plan, unchecked, bypasses } = conversion;
  const metadata = { format: "pt", [markName]: markText({ unchecked, bypasses }, packageVersion) };
  const weights = await run(addon, { signal: options.signal }, () => native.weights());
  const { shards, index } = toShards(weights, shardSize, metadata);
  const write = (name: string, text: string) => writeFile(path.join(folder, name), text);
  for (const [number, { file, header, names }] of shards.entries()) {
    await run(addon, part(options, number / shards.length, (number + 1) / shards.length), (control) =>
      native.saveWeights(path.join(folder, file), header, names, plan, control),
    );
  }
  if (index !== undefined) await write("model.safetensors.index.json", index);
  await write("config.json", checkpointConfig(conversion));
  if (source.archive) await write("generation_config.json", generationConfig(conversion));
  else await copyFiles(source.folder, folder, ["generation_config.json"]);
  await writeTokenizer(conversion, folder);
  await write("README.md", readmeOf(conversion));
  await complete(options);
}
