import { validate } from "../errors/validation.js";
import { onAbort } from "../operation/abort.js";
import { finish } from "../operation/operation.js";
import { Progress } from "../operation/progress.js";
import { type ModelId, parseModelId } from "./model-id.js";
import { type DownloadOptions, downloadSchema } from "./options.js";
import { resolveSettings } from "./settings.js";
import { cachedSnapshot, fetchSnapshot, type Snapshot } from "./snapshot.js";

/** Reports to the caller's callbacks. An error of a callback aborts the download and becomes its error. */
class Reports {
  readonly #stop = new AbortController();
  readonly #fraction: Progress;
  readonly #bytes: Progress;
  #latest: [done: number, total: number] = [0, 0];
  #calls = 0;

  readonly #stopListening: () => void;

  constructor(private readonly options: DownloadOptions) {
    const { signal } = options;
    const abort = () => this.#stop.abort(signal?.reason);
    this.#stopListening = signal === undefined ? () => {} : onAbort(signal, abort);
    this.#fraction = new Progress((fraction) => options.onProgress?.(fraction), abort);
    this.#bytes = new Progress(() => options.onBytes?.(...this.#latest), abort);
  }

  /** Aborted by the caller's signal and by a callback that fails. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  readonly onBytes = (done: number, total: number) => {
    this.#latest = [done, total];
    this.#bytes.report(++this.#calls);
    if (total > 0) this.#fraction.report(Math.min(1, done / total));
  };

  /** Throws the error of a callback, if one has failed. */
  check(): void {
    this.#fraction.check();
    this.#bytes.check();
  }

  async finish(): Promise<void> {
    await finish(this.#fraction, this.options.signal);
    await this.#bytes.finish();
  }

  close(): void {
    this.#stopListening();
  }
}

/** Returns the snapshot of a model, and downloads what the cache does not have. The options must be valid. */
export async function findSnapshot(model: ModelId, options: DownloadOptions): Promise<Snapshot> {
  options.signal?.throwIfAborted();
  const settings = await resolveSettings(options);
  const reports = new Reports(options);
  try {
    const { signal, onBytes } = reports;
    const snapshot = settings.offline
      ? await cachedSnapshot(model, settings)
      : await fetchSnapshot(model, settings, { signal, onBytes });
    await reports.finish();
    return snapshot;
  } catch (error) {
    reports.check();
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    reports.close();
  }
}

/**
 * Downloads a model of the Hugging Face hub to the Hugging Face cache and returns the folder of its files, which
 * `loadModel` and Python's transformers load. `id` is `org/name` or `org/name@revision`. Downloads config.json,
 * generation_config.json, the tokenizer files and one form of weights: safetensors, else PyTorch's format. Files that
 * the cache has are not downloaded again, and an interrupted download is resumed. Sizes and hashes are verified. With
 * `HF_HUB_OFFLINE`, no request is sent. Throws INVALID_ARGUMENT, MODEL_NOT_FOUND, REVISION_NOT_FOUND, MODEL_GATED,
 * HUB_TOKEN_MISSING, HUB_TOKEN_REFUSED, MODEL_NOT_CACHED, CONFIG_MISSING, WEIGHTS_MISSING, WEIGHTS_INVALID,
 * DOWNLOAD_FAILED, CHECKSUM_MISMATCH, DISK_FULL, WRITE_FAILED.
 */
export async function download(id: string, options: DownloadOptions = {}): Promise<string> {
  const checked = validate(downloadSchema, options, "options");
  const { folder } = await findSnapshot(parseModelId(id, checked.revision), checked);
  return folder;
}
