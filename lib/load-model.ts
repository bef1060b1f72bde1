import * as v from "valibot";
import { loadAddon } from "./addon/addon.js";
import { chooseDevice, type Device, deviceText } from "./addon/device.js";
import type { NativeLoadOptions, NativeModel } from "./addon/native.js";
import { type ModelSource, openSource } from "./checkpoint/source.js";
import { checkAgainstTrace } from "./checkpoint/traced-check.js";
import { longCall, pathText, validate } from "./errors/validation.js";
import { toNativeConfig } from "./families/config.js";
import { type Dtype, dtypes } from "./families/dtype.js";
import { Model } from "./model.js";
import { type OperationOptions, run } from "./operation/operation.js";
import { GenerationBatch } from "./session/generation-batch.js";
import { LazyModel } from "./session/lazy-model.js";
import { findTokenizer, parseTokenizer, readTokenizer } from "./tokenizer/files.js";
import { createTokenizer } from "./tokenizer/tokenizer.js";

/** Options of `loadModel`. */
export interface LoadModelOptions extends OperationOptions {
  /**
   * "auto" takes the first CUDA device, and the CPU where there is none; `model.device` says which and
   * `model.deviceReason` why. Any other is taken or refused. Defaults to "auto".
   */
  device?: Device;
  /** "auto" is float32 on the CPU, and on CUDA the dtype of the checkpoint. Defaults to "auto". */
  dtype?: "auto" | Dtype;
  /**
   * Leave the matrices in the files and bring them to the device a block at a time, for weights that memory does not
   * hold. A sweep still reads each block once for a batch; generation reads all of them for each token. Defaults to
   * false.
   */
  offload?: boolean;
  /**
   * Threads for the model's work on the CPU. Defaults to libtorch's number, one for each core, and to fewer if the
   * container's CPU quota grants less.
   */
  threads?: number;
  /** A tokenizer.json, or a folder with one or with vocab.json and merges.txt. Defaults to the model's own. */
  tokenizer?: string;
  /**
   * Which model to load from weights that hold several, as training writes them: what stands before its tensors' names,
   * such as "ema" for "ema.gpt_neox.embed_in.weight".
   */
  key?: string;
  /**
   * Run the code of a TorchScript module that somebody else wrote, to check that it computes what its weights and the
   * config next to it say. Its process is limited in time, memory and files, but the code has your rights: trust only
   * what you would run. Without it no code of a model runs, and the module is `unchecked`. Defaults to false.
   */
  trust?: boolean;
  /** Load weights even if some are NaN or infinite. Defaults to false. */
  allowNonFinite?: boolean;
}

/** More threads no machine runs, and a process that asked for many more would not live. */
const mostThreads = 1024;

const threadCount = v.pipe(
  v.number(),
  v.check(
    (value: number) => Number.isInteger(value) && value >= 1 && value <= mostThreads,
    `a whole number from 1 to ${mostThreads}`,
  ),
);

const schema = v.strictObject({
  ...longCall,
  device: v.optional(deviceText, "auto"),
  dtype: v.optional(v.picklist(["auto", ...dtypes]), "auto"),
  offload: v.optional(v.boolean(), false),
  threads: v.optional(threadCount),
  tokenizer: v.optional(v.string()),
  key: v.optional(v.string()),
  trust: v.optional(v.boolean(), false),
  allowNonFinite: v.optional(v.boolean(), false),
});

/** The parsed tokenizer.json for a model, from the first place that has one. */
export async function tokenizerJson(source: ModelSource, chosen: string | undefined): Promise<object | undefined> {
  if (chosen !== undefined) return readTokenizer(chosen);
  if (source.tokenizerText !== undefined) return parseTokenizer(source.tokenizerText, "the archive's tokenizer.json");
  return findTokenizer(source.folder);
}

/**
 * Loads a model from a Hugging Face checkpoint folder, an archive that `convert` wrote, or a TorchScript module traced
 * from Hugging Face with its config.json beside it. libtorch is found and loaded with the first model.
 * Throws INVALID_ARGUMENT, FILE_NOT_FOUND, DEVICE_UNAVAILABLE, OUT_OF_MEMORY, and the codes that begin with CONFIG,
 * ARCHITECTURE, ACTIVATION, ROPE_SCALING, WEIGHTS, TENSOR, ARCHIVE, TRACE, TOKENIZER, LIBTORCH, ADDON.
 */
export async function loadModel(path: string, options: LoadModelOptions = {}): Promise<Model> {
  validate(pathText, path, "path");
  const checked = validate(schema, options, "options");
  checked.signal?.throwIfAborted();
  const { addon, libtorch, platform, cudaRefusal } = await loadAddon();
  const source = await openSource(path, { key: checked.key });
  const json = await tokenizerJson(source, checked.tokenizer);
  const { device, reason } = chooseDevice(checked.device, { cudaDevices: platform.cudaDevices, cudaRefusal });
  const cuda = device !== "cpu";
  const automatic = (cuda ? source.config.weightsDtype : undefined) ?? "float32";
  const dtype = checked.dtype === "auto" ? automatic : checked.dtype;
  const tokenizer = json && (await createTokenizer(json, path));
  const load = async (
    how: Pick<NativeLoadOptions, "dtype" | "offload">,
    operation: OperationOptions,
  ): Promise<NativeModel> => {
    const native = new addon.Model();
    const { threads = platform.threads, allowNonFinite } = checked;
    const nativeOptions = { ...how, device, threads, allowNonFinite };
    try {
      await run(addon, operation, (control) =>
        native.load(toNativeConfig(source.config), source.weights, nativeOptions, control),
      );
      return native;
    } catch (error) {
      // Its thread would stay until the garbage collector comes by. Not waited for: an abort need not be.
      void native.close();
      throw error;
    }
  };
  const native = await load({ dtype, offload: checked.offload }, options);
  if (source.traced !== undefined && checked.trust) {
    const loaded = { addon, native, config: source.config, dtype, weights: source.weights };
    await checkAgainstTrace(loaded, source.traced, options.signal).catch((error: unknown) => {
      void native.close();
      throw error;
    });
  }
  return new Model({
    addon,
    libtorch: libtorch.version,
    native,
    config: source.config,
    device,
    deviceReason: reason,
    dtype,
    files: source.weights.files,
    notices: source.notices,
    unchecked: source.unchecked && !checked.trust,
    float32: new LazyModel(() => load({ dtype: "float32", offload: true }, {})),
    float64: new LazyModel(() => load({ dtype: "float64", offload: true }, {})),
    tokenizer,
    generations: new GenerationBatch(addon, native),
  });
}
