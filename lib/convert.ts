import * as v from "valibot";
import { loadAddon, packageVersion } from "./addon/addon.js";
import { checkArchiveName } from "./checkpoint/archive-name.js";
import { archiveMark, type ModelSource, openSource } from "./checkpoint/source.js";
import { checkAgainstTrace } from "./checkpoint/traced-check.js";
import { longCall, pathText, validate } from "./errors/validation.js";
import { parseConfigJson, toNativeConfig } from "./families/config.js";
import type { Dtype } from "./families/dtype.js";
import { writeWhole } from "./files/output-file.js";
import { tokenizerJson } from "./load-model.js";
import { type OperationOptions, run } from "./operation/operation.js";

/** Options of `convert`. */
export interface ConvertOptions extends OperationOptions {
  /** Of the weights in the archive; "auto" keeps the checkpoint's where its config says one, else float32. Defaults
   * to "auto". */
  dtype?: "auto" | Dtype;
  /** A tokenizer to put into the archive. Defaults to the model's own. */
  tokenizer?: string;
  /** Which model to convert from weights that hold several; see `loadModel`. */
  key?: string;
  /** Run the code of a traced module to check its weights; see `loadModel`. Defaults to false. */
  trust?: boolean;
  /** Convert weights even if some are NaN or infinite. Defaults to false. */
  allowNonFinite?: boolean;
}

const schema = v.strictObject({
  ...longCall,
  dtype: v.optional(v.picklist(["auto", "float32", "bfloat16", "float16"]), "auto"),
  tokenizer: v.optional(v.string()),
  key: v.optional(v.string()),
  trust: v.optional(v.boolean(), false),
  allowNonFinite: v.optional(v.boolean(), false),
});

/** The text of config.json for an archive; the end tokens may come from generation_config.json, which stays behind. */
function archiveConfig({ config, configText }: ModelSource, dtype: Dtype): string {
  const fields = parseConfigJson(configText, "config.json") as object;
  return JSON.stringify({ ...fields, dtype, eos_token_id: config.endTokens });
}

/**
 * Writes a model as one TorchScript archive with its config and tokenizer inside, from all that `loadModel` takes. It
 * loads here, and in Python by `torch.jit.load(path)(input_ids)`. The file appears whole or not at all.
 * A name of another format, such as x.safetensors, is refused. Throws what `loadModel` throws, INVALID_ARGUMENT,
 * DISK_FULL and WRITE_FAILED.
 */
export async function convert(from: string, to: string, options: ConvertOptions = {}): Promise<void> {
  validate(pathText, from, "from");
  checkArchiveName(validate(pathText, to, "to"));
  const checked = validate(schema, options, "options");
  checked.signal?.throwIfAborted();
  const { addon } = await loadAddon();
  const source = await openSource(from, { key: checked.key });
  const json = await tokenizerJson(source, checked.tokenizer);
  const dtype = checked.dtype === "auto" ? (source.config.weightsDtype ?? "float32") : checked.dtype;
  const extra = {
    [archiveMark]: JSON.stringify({
      version: packageVersion,
      ...(source.unchecked && !checked.trust && { unchecked: true }),
    }),
    "config.json": archiveConfig(source, dtype),
    ...(json && { "tokenizer.json": JSON.stringify(json) }),
  };
  const native = new addon.Model();
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= native.close();
    return closed;
  };
  try {
    const nativeOptions = { device: "cpu", dtype, threads: 0, offload: false, allowNonFinite: checked.allowNonFinite };
    await run(addon, checked, (control) =>
      native.load(toNativeConfig(source.config), source.weights, nativeOptions, control),
    );
    if (source.traced !== undefined && checked.trust) {
      const loaded = { addon, native, config: source.config, dtype, weights: source.weights };
      await checkAgainstTrace(loaded, source.traced, checked.signal);
    }
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
