import * as v from "valibot";
import { loadAddon } from "./addon/addon.js";
import { chooseDevice, type Device, deviceText } from "./addon/device.js";
import { writtenName } from "./checkpoint/mark.js";
import { type ModelSource, openSource } from "./checkpoint/source.js";
import { checkAgainstTrace } from "./checkpoint/traced-check.js";
import { longCall, pathText, validate } from "./errors/validation.js";
import { visible } from "./errors/visible.js";
import { toNativeConfig } from "./families/config.js";
import { type Dtype, dtypes } from "./families/dtype.js";
import { findModel } from "./hub/model-reference.js";
import { type HubOptions, hubEntries } from "./hub/options.js";
import { Model } from "./model.js";
import { type OperationOptions, part, rising } from "./operation/operation.js";
import { GenerationBatch } from "./session/generation-batch.js";
import { LazyModel } from "./session/lazy-model.js";
import { NativeLoading } from "./session/native-loading.js";
import { ScoringBatch } from "./session/scoring-batch.js";
import { parseChatTemplate } from "./tokenizer/chat-template.js";
import { findTokenizer, parseTokenizer, readTokenizer } from "./tokenizer/files.js";
import { createTokenizer } from "./tokenizer/tokenizer.js";

/** Options of `loadModel`. */
export interface LoadModelOptions extends OperationOptions, HubOptions {
  /**
   * The device to run on. "auto" uses the first CUDA device, or the CPU if there is none; `model.device` and
   * `model.deviceReason` then say which and why. Any other value must be available; otherwise the call throws
   * DEVICE_UNAVAILABLE. Defaults to "auto".
   */
  device?: Device;
  /**
   * The dtype to load the weights in. "auto" is float32 on the CPU and the dtype of the checkpoint on CUDA. Defaults to
   * "auto".
   */
  dtype?: "auto" | Dtype;
  /**
   * Keep weights on disk and copy one block at a time to the device, for models larger than memory. A sweep reads each
   * block once for each batch; generation reads all blocks for each token. Defaults to false.
   */
  offload?: boolean;
  /**
   * The number of CPU threads of the model. Defaults to libtorch's default, one for each core, or to fewer if the
   * container's CPU quota is lower.
   */
  threads?: number;
  /**
   * The path of a tokenizer.json, or of a folder that contains one, or vocab.json and merges.txt. Defaults to the
   * model's own tokenizer.
   */
  tokenizer?: string;
  /**
   * The model to load from weights that contain several, such as training checkpoints: the prefix of its tensor names,
   * such as "ema" for "ema.gpt_neox.embed_in.weight". Required only for such weights.
   */
  key?: string;
  /**
   * Run the code of a TorchScript module from elsewhere, to check that it computes the same as this package with its
   * weights and config. The code runs in a process with limits on time, memory and files, but with your permissions:
   * set this only for modules that you trust. If false, no code of the module runs and the model counts as unchecked.
   * Defaults to false.
   */
  trust?: boolean;
  /** Load weights even if some are NaN or infinite. Defaults to false. */
  allowNonFinite?: boolean;
}

/** More threads are useless on any machine, and starting very many ends the process. */
const maxThreads = 1024;

const threadCount = v.pipe(
  v.number(),
  v.check(
    (value: number) => Number.isInteger(value) && value >= 1 && value <= maxThreads,
    `a whole number from 1 to ${maxThreads}`,
  ),
);

const schema = v.strictObject({
  ...longCall,
  ...hubEntries,
  device: v.optional(deviceText, "auto"),
  dtype: v.optional(v.picklist(["auto", ...dtypes]), "auto"),
  offload: v.optional(v.boolean(), false),
  threads: v.optional(threadCount),
  tokenizer: v.optional(v.string()),
  key: v.optional(v.string()),
  trust: v.optional(v.boolean(), false),
  allowNonFinite: v.optional(v.boolean(), false),
});

/** Returns the parsed tokenizer.json: the chosen one, else that of the archive, else that in the model's folder. */
export async function tokenizerJson(source: ModelSource, chosen: string | undefined): Promise<object | undefined> {
  if (chosen !== undefined) return readTokenizer(chosen);
  const { tokenizerText, chatTemplateText } = source;
  if (tokenizerText === undefined) return findTokenizer(source.folder);
  const json = parseTokenizer(tokenizerText, "the archive's tokenizer.json");
  if (chatTemplateText === undefined) return json;
  return { ...json, chat_template: parseChatTemplate(chatTemplateText, "the archive's chat_template.json") };
}

/** The completed fraction of loading a model of the hub when its download is complete. */
export const downloadShare = 0.9;

/**
 * Loads a model. `path` is a Hugging Face checkpoint folder, an archive that `convert` wrote, a TorchScript module traced
 * from Hugging Face with its config.json in the same folder, or the name of a model on the Hugging Face hub: `org/name` or
 * `org/name@revision`, which is downloaded to the Hugging Face cache as by `download`. An existing path is never looked up
 * on the hub. The first call also finds and loads libtorch. Throws INVALID_ARGUMENT, FILE_NOT_FOUND, DEVICE_UNAVAILABLE,
 * OUT_OF_MEMORY, the codes of `download`, and the codes that begin with CONFIG, ARCHITECTURE, ACTIVATION, ROPE_SCALING,
 * WEIGHTS, TENSOR, ARCHIVE, TRACE, TOKENIZER, LIBTORCH, ADDON.
 */
export async function loadModel(path: string, options: LoadModelOptions = {}): Promise<Model> {
  validate(pathText, path, "path");
  const checked = validate(schema, options, "options");
  checked.signal?.throwIfAborted();
  const { addon, libtorch, platform, cudaRefusal } = await loadAddon();
  const progress = rising(checked);
  const found = await findModel(path, { ...checked, ...part(progress, 0, downloadShare) });
  const loadOptions = found.id === undefined ? progress : part(progress, downloadShare, 1);
  const source = await openSource(found.path, { key: checked.key });
  const json = await tokenizerJson(source, checked.tokenizer);
  const { device, reason } = chooseDevice(checked.device, { cudaDevices: platform.cudaDevices, cudaRefusal });
  const cuda = device !== "cpu";
  const automatic = (cuda ? source.config.weightsDtype : undefined) ?? "float32";
  const dtype = checked.dtype === "auto" ? automatic : checked.dtype;
  const arithmetic = !cuda && dtype !== "float32" ? platform.cpuArithmetic[dtype] : dtype;
  const tokenizer = json && (await createTokenizer(json, path));
  const { threads = platform.threads, allowNonFinite } = checked;
  const nativeOptions = { device, threads, allowNonFinite };
  const loading = new NativeLoading(addon, toNativeConfig(source.config), source.weights, nativeOptions);
  const { native, exact } = await loading.load({ dtype, offload: checked.offload }, loadOptions);
  // Widening is exact. Weights that were rounded, or that are not in memory, are read from the files again.
  const widens = exact && !checked.offload;
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
    deviceReason: arithmetic === dtype ? reason : `${reason}; computes in ${arithmetic}, which is faster here`,
    dtype,
    files: source.weights.files,
    notices: source.notices,
    writtenBypasses: source.bypasses.map((bypass) => visible(writtenName(bypass))),
    unchecked: source.unchecked && !checked.trust,
    rounds: dtype !== "float32" && !(exact && arithmetic === "float32"),
    float32: new LazyModel(() => (widens ? loading.widen(native) : loading.loadFloat32(checked.offload))),
    float64: new LazyModel(() => loading.loadFloat64()),
    tokenizer,
    generations: new GenerationBatch(addon, native),
    scores: new ScoringBatch(addon, native, device),
  });
}

export { schema as loadModelSchema };
