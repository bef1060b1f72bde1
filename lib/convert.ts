import * as v from "valibot";
import { loadAddon, packageVersion } from "./addon/addon.js";
import { checkArchiveName } from "./checkpoint/archive-name.js";
import { archiveMark, type ModelSource, openSource } from "./checkpoint/source.js";
import { checkAgainstTrace } from "./checkpoint/traced-check.js";
import { longCall, pathText, validate } from "./errors/validation.js";
import { parseConfigJson, toNativeConfig } from "./families/config.js";
import type { Dtype } from "./families/dtype.js";
import { writeWhole } from "./files/output-file.js";
import { findModel } from "./hub/model-reference.js";
import { type HubOptions, hubEntries } from "./hub/options.js";
import { downloadShare, tokenizerJson } from "./load-model.js";
import { type OperationOptions, part, rising, run } from "./operation/operation.js";

/** Options of `convert`. */
export interface ConvertOptions extends OperationOptions, HubOptions {
  /**
   * The dtype of the weights in the archive. "auto" is the dtype in the checkpoint's config, or float32 if there is
   * none. Defaults to "auto".
   */
  dtype?: "auto" | Dtype;
  /** The tokenizer to put into the archive, as for `loadModel`. Defaults to the model's own tokenizer. */
  tokenizer?: string;
  /** The model to convert from weights that contain several; see `loadModel`. */
  key?: string;
  /** Run the code of a traced module to check its weights; see `loadModel`. Defaults to false. */
  trust?: boolean;
  /** Convert weights even if some are NaN or infinite. Defaults to false. */
  allowNonFinite?: boolean;
}

const schema = v.strictObject({
  ...longCall,
  ...hubEntries,
  dtype: v.optional(v.picklist(["auto", "float32", "bfloat16", "float16"]), "auto"),
  tokenizer: v.optional(v.string()),
  key: v.optional(v.string()),
  trust: v.optional(v.boolean(), false),
  allowNonFinite: v.optional(v.boolean(), false),
});

/** Returns config.json for the archive, with the end tokens, which may come from generation_config.json. */
function archiveConfig({ config, configText }: ModelSource, dtype: Dtype): string {
  const fields = parseConfigJson(configText, "config.json") as object;
  return JSON.stringify({ ...fields, dtype, eos_token_id: config.endTokens });
}

/**
 * Converts a model to one TorchScript archive that contains its config and tokenizer. `from` is anything that
 * `loadModel` loads. `loadModel` loads the archive, and so does Python with `torch.jit.load(path)(input_ids)`. The file
 * is written atomically: whole or not at all. Throws what `loadModel` throws, INVALID_ARGUMENT, also if `to` ends like
 * another format, such as .safetensors, DISK_FULL and WRITE_FAILED.
 */
export async function convert(from: string, to: string, options: ConvertOptions = {}): Promise<void> {
  validate(pathText, from, "from");
  checkArchiveName(validate(pathText, to, "to"));
  const checked = validate(schema, options, "options");
  checked.signal?.throwIfAborted();
  const { addon } = await loadAddon();
  const progress = rising(checked);
  const found = await findModel(from, { ...checked, ...part(progress, 0, downloadShare) });
  const source = await openSource(found.path, { key: checked.key });
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
    const loading = found.id === undefined ? progress : part(progress, downloadShare, 1);
    await run(addon, loading, (control) =>
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
        // After an abort, the addon may still be writing; `close` waits for it.
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
