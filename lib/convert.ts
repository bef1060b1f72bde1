import * as v from "valibot";
import { loadAddon, packageVersion } from "./addon/addon.js";
import type { Addon, NativeModel } from "./addon/native.js";
import { type Bypass, bypassSchema } from "./bypass/bypass.js";
import { checkArchiveName, checkFolderName } from "./checkpoint/output-name.js";
import { openSource } from "./checkpoint/source.js";
import { checkAgainstTrace } from "./checkpoint/traced-check.js";
import type { Conversion } from "./conversion/conversion.js";
import { writeArchive } from "./conversion/write-archive.js";
import { writeCheckpoint } from "./conversion/write-checkpoint.js";
import { formats, toWrittenPlan } from "./conversion/written-plan.js";
import { longCall, pathText, validate, wholeNumber } from "./errors/validation.js";
import { toNativeConfig } from "./families/config.js";
import type { Dtype } from "./families/dtype.js";
import { writeWhole } from "./files/output-file.js";
import { requireNewFolder, writeWholeFolder } from "./files/output-folder.js";
import { findModel } from "./hub/model-reference.js";
import { type HubOptions, hubEntries } from "./hub/options.js";
import { downloadShare, tokenizerJson } from "./load-model.js";
import { type OperationOptions, part, rising, run } from "./operation/operation.js";

/** Options of `convert`. */
export interface ConvertOptions extends OperationOptions, HubOptions {
  /**
   * What to write: "torchscript" is one TorchScript archive, and "checkpoint" a Hugging Face checkpoint folder with
   * safetensors. Defaults to "torchscript".
   */
  format?: "torchscript" | "checkpoint";
  /**
   * A bypass to write into the weights. With the format "checkpoint", the mode "short-circuit" is refused, and so is
   * the mode "mean" for attention without biases. Defaults to none.
   */
  bypass?: Bypass;
  /**
   * The dtype of the written weights. "auto" is the dtype in the checkpoint's config, or float32 if there is none.
   * Defaults to "auto".
   */
  dtype?: "auto" | Dtype;
  /** For the format "checkpoint", the most bytes of one weights file. Defaults to 5 GB (5 × 10⁹ bytes). */
  shardSize?: number;
  /** The tokenizer to write, as for `loadModel`. Defaults to the model's own tokenizer. */
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
  format: v.optional(v.picklist(formats), "torchscript"),
  bypass: v.optional(bypassSchema),
  dtype: v.optional(v.picklist(["auto", "float32", "bfloat16", "float16"]), "auto"),
  shardSize: v.optional(wholeNumber(1), 5e9),
  tokenizer: v.optional(v.string()),
  key: v.optional(v.string()),
  trust: v.optional(v.boolean(), false),
  allowNonFinite: v.optional(v.boolean(), false),
});

type CheckedOptions = v.InferOutput<typeof schema>;

/** Opens the model that was found at `path`, and decides what is written. */
async function prepare(from: string, path: string, options: CheckedOptions): Promise<Conversion> {
  const { format, bypass, tokenizer, allowNonFinite } = options;
  const source = await openSource(path, { key: options.key });
  const written = toWrittenPlan(bypass, source.config, format);
  const { bypassed } = written;
  return {
    ...written,
    from,
    source,
    dtype: options.dtype === "auto" ? (source.config.weightsDtype ?? "float32") : options.dtype,
    unchecked: source.unchecked && !options.trust,
    bypasses: [...source.bypasses, ...(bypassed ? [{ ...bypassed, version: packageVersion }] : [])],
    tokenizer,
    tokenizerJson: await tokenizerJson(source, tokenizer),
    allowNonFinite,
  };
}

/**
 * Calls `work` with the model in memory, and closes it. After an abort, the addon may still be writing; `close` waits
 * for it.
 */
async function withModel(
  addon: Addon,
  { source, config, dtype, zeroAttentionBias, allowNonFinite }: Conversion,
  offload: boolean,
  options: OperationOptions,
  work: (native: NativeModel) => Promise<void>,
): Promise<void> {
  const native = new addon.Model();
  const nativeOptions = { device: "cpu", dtype, threads: 0, offload, allowNonFinite };
  try {
    await run(addon, options, (control) =>
      native.load(toNativeConfig(config, zeroAttentionBias), source.weights, nativeOptions, control),
    );
    await work(native);
  } finally {
    await native.close();
  }
}

/** Compares a traced module with its weights before a bypass is written into them. */
async function check(addon: Addon, conversion: Conversion, file: string, options: OperationOptions): Promise<void> {
  const { source, dtype } = conversion;
  const { config, weights } = source;
  const original = { ...conversion, config, zeroAttentionBias: false };
  await withModel(addon, original, false, { signal: options.signal }, (native) =>
    checkAgainstTrace({ addon, native, config, dtype, weights }, file, options.signal),
  );
}

/**
 * Converts a model to one TorchScript archive that contains its config and tokenizer, or to a Hugging Face checkpoint
 * folder. `from` is anything that `loadModel` loads. With a bypass, the result is a model of its own: whoever loads it
 * gets the logits of the bypass, and a bypass of a later call applies in addition. `loadModel` loads both formats. In Python,
 * `torch.jit.load(path)(input_ids)` runs an archive, and transformers loads a folder.
 *
 * The file or folder is written atomically: whole or not at all. An existing file is replaced; an existing folder must
 * be empty. Throws what `loadModel` throws, the codes of `Bypass`, INVALID_ARGUMENT, also if `to` ends like another
 * format, such as .safetensors, DISK_FULL and WRITE_FAILED.
 */
export async function convert(from: string, to: string, options: ConvertOptions = {}): Promise<void> {
  validate(pathText, from, "from");
  validate(pathText, to, "to");
  const checked = validate(schema, options, "options");
  const { format, shardSize, trust, signal } = checked;
  const folder = format === "checkpoint";
  if (folder) checkFolderName(to);
  else checkArchiveName(to);
  signal?.throwIfAborted();
  if (folder) await requireNewFolder(to);
  const { addon } = await loadAddon();
  const progress = rising(checked);
  const found = await findModel(from, { ...checked, ...part(progress, 0, downloadShare) });
  const conversion = await prepare(from, found.path, checked);
  const { traced } = conversion.source;
  if (traced !== undefined && trust) await check(addon, conversion, traced, checked);
  const write = folder ? writeWholeFolder : writeWhole;
  // Matrices of a checkpoint are read one at a time; an archive is written from memory.
  const operation = found.id === undefined ? progress : part(progress, downloadShare, 1);
  const loading = folder ? part(operation, 0, 0.1) : operation;
  await write(to, (unfinished) =>
    withModel(addon, conversion, folder, loading, (native) =>
      folder
        ? writeCheckpoint(addon, native, conversion, { folder: unfinished, shardSize }, part(operation, 0.1, 1))
        : writeArchive(addon, native, conversion, unfinished, operation),
    ),
  ).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
}
