import { packageVersion } from "../addon/addon.js";
import type { ModelConfig } from "../families/config.js";
import type { Dtype } from "../families/dtype.js";
import type { Session } from "../session/session.js";
import { type FileHash, hashFile } from "./fingerprint.js";

/** The model and the software that measured something. */
export interface ModelSettings {
  /** The device that the model ran on: "cpu" or "cuda:N". */
  device: string;
  /** The dtype of the model's weights. */
  dtype: Dtype;
  /** The versions of the software that computed the result. */
  versions: {
    /** The version of this package. */
    "attention-bypass": string;
    /** The version of libtorch with its build, such as "2.13.0+cpu". */
    libtorch: string;
  };
  /** The model that was measured. */
  model: {
    /** The model's architecture and sizes. */
    config: ModelConfig;
    /** The weight files and their hashes. */
    files: FileHash[];
  };
}

/** Returns the model and the software of a call. Throws WEIGHTS_CHANGED. */
export async function modelSettings(session: Session, signal: AbortSignal | undefined): Promise<ModelSettings> {
  const { config, device, dtype, files } = session;
  return {
    device,
    dtype,
    versions: { "attention-bypass": packageVersion, libtorch: session.libtorch },
    model: { config, files: await Promise.all(files.map((file) => hashFile(file, signal))) },
  };
}
