import * as v from "valibot";
import { loadAddon, packageVersion } from "./addon.js";
import { toNativeConfig } from "./config.js";
import type { Dtype } from "./dtype.js";
import { tokenizerJson } from "./load-model.js";
import { type OperationOptions, run } from "./operation.js";
import { writeWhole } from "./output-file.js";
import { archiveMark, openSource } from "./source.js";
import { longCall, pathText, validate } from "./validation.js";

/** Options of `convert`. */
export interface ConvertOptions extends OperationOptions {
  /** Of the weights in the archive; "auto" keeps the checkpoint's where its config says one, else float32. Defaults
   * to "auto". */
  dtype?: "auto" | Dtype;
  /** A tokenizer to put into the archive. Defaults to the model's own. */
  tokenizer?: string;
}

const schema = v.strictObject({
  ...longCall,
  dtype: v.optional(v.picklist(["auto", "float32", "bfloat16", "float16"]), "auto"),
  tokenizer: v.optional(v.string()),
});

/**
 * Writes a model as one TorchScript archive with its config and tokenizer inside, from all that `loadModel` takes. It
 * loads here, and in Python by `torch.jit.load(path)(input_ids)`. The file appears whole or not at all.
 * Throws what `loadModel` throws, DISK_FULL and WRITE_FAILED.
 */
export async function convert(from: string, to: string, options: ConvertOptions = {}): Promise<void> {
  validate(pathText, from, "from");
  validate(pathText, to, "to");
  const checked = validate(schema, options, "options");
  checked.signal?.throwIfAborted();
  const { addon } = await loadAddon();
  const source = await openSource(addon, from);
  const json = await tokenizerJson(source, checked.tokenizer);
  const dtype = checked.dtype === "auto" ? (source.config.weightsDtype ?? "float32") : checked.dtype;
  const extra = {
    [archiveMark]: JSON.stringify({ version: packageVersion }),
    "config.json": JSON.stringify({ ...JSON.parse(source.configText), dtype }),
    ...(json && { "tokenizer.json": JSON.stringify(json) }),
  };
  const native = new addon.Model();
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= native.close();
    return closed;
  };
  try {
    const nativeOptions = { device: "cpu", dtype, threads: 0, offload: false };
    await run(addon, checked, (control) =>
      native.load(toNativeConfig(source.config), source.weights, nativeOptions, control),
    );
    await writeWhole(to, async (unfinished) => {
      try {
        await run(addon, { signal: checked.signal }, (control) => native.save(unfinished, extra, control));
      } finally {
        // An aborted call is over for its caller while it still writes.
        await close();
      }
    }).catch((error: unknown) => {
      checked.signal?.throwIfAborted();
      throw error;
    });
  } finally {
    await close();
  }
}
