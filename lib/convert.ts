import { rename, rm } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { loadAddon, packageVersion } from "./addon.js";
import { archiveMark, openSource } from "./checkpoint/source.js";
import { toNativeConfig } from "./config.js";
import type { Dtype } from "./dtype.js";
import { AttentionBypassError } from "./errors.js";
import { tokenizerJson } from "./load-model.js";
import { node } from "./node.js";
import { type OperationOptions, run } from "./operation.js";
import { longCall, pathText, validate } from "./validation.js";

/** Options of `convert`. */
export interface ConvertOptions extends OperationOptions {
  /** Of the weights in the archive; "auto" keeps the checkpoint's where its config says one, else float32. Defaults
   * to "auto". */
  dtype?: "auto" | Dtype;
  /** A tokenizer to put into the archive. Defaults to the model's own. */
  tokenizer?: string;
  /** Which model to convert from weights that hold several; see `loadModel`. */
  key?: string;
}

const schema = v.strictObject({
  ...longCall,
  dtype: v.optional(v.picklist(["auto", "float32", "bfloat16", "float16"]), "auto"),
  tokenizer: v.optional(v.string()),
  key: v.optional(v.string()),
});

/**
 * Writes a model as one TorchScript archive with its config and tokenizer inside, from all that `loadModel` takes. It
 * loads here, and in Python by `torch.jit.load(path)(input_ids)`. The file appears whole or not at all.
 * Throws what `loadModel` throws, and WRITE_FAILED.
 */
export async function convert(from: string, to: string, options: ConvertOptions = {}): Promise<void> {
  validate(pathText, from, "from");
  validate(pathText, to, "to");
  const checked = validate(schema, options, "options");
  options.signal?.throwIfAborted();
  const { addon } = await loadAddon();
  const source = await openSource(from, { key: checked.key });
  const json = await tokenizerJson(source, checked.tokenizer);
  const dtype = checked.dtype === "auto" ? (source.config.weightsDtype ?? "float32") : checked.dtype;
  const extra = {
    [archiveMark]: JSON.stringify({ version: packageVersion }),
    "config.json": JSON.stringify({ ...JSON.parse(source.configText), dtype }),
    ...(json && { "tokenizer.json": JSON.stringify(json) }),
  };
  const native = new addon.Model();
  const unfinished = path.join(path.dirname(to), `.${path.basename(to)}.${node.crypto.randomUUID()}`);
  try {
    const nativeOptions = { device: "cpu", dtype, threads: 0, offload: false };
    await run(addon, options, (control) =>
      native.load(toNativeConfig(source.config), source.weights, nativeOptions, control),
    );
    try {
      await run(addon, { signal: options.signal }, (control) => native.save(unfinished, extra, control));
      await rename(unfinished, to);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw new AttentionBypassError("WRITE_FAILED", `expected to write ${to} but ${(error as Error).message}`, {
        cause: error,
      });
    }
  } finally {
    await native.close();
    // Where it can't be removed, it could not be written either, which has been said.
    await rm(unfinished, { force: true }).catch(() => undefined);
  }
}
