import { stat } from "node:fs/promises";
import { AttentionBypassError, systemCode } from "../errors/errors.js";
import { looksLikeModelId, parseModelId } from "./model-id.js";
import type { DownloadOptions } from "./options.js";

/** The place of a model, and where it comes from if that is the hub. */
export interface FoundModel {
  /** The path of a folder or file. */
  path: string;
  /** The id of the model on the hub, such as "EleutherAI/pythia-160m"; undefined for a path that the caller gave. */
  id?: string;
  /** The branch, tag or commit that was asked for. */
  revision?: string;
  /** The commit that `revision` names. */
  commit?: string;
}

function notFound(reference: string, cause: unknown): AttentionBypassError {
  const mayBeId = /^[^/.][^/]*$/.test(reference);
  return new AttentionBypassError(
    "FILE_NOT_FOUND",
    `expected a model in ${reference} but there is no such file or folder (${systemCode(cause)})` +
      (mayBeId ? ", and the name of a model on the hub has the form org/name, such as EleutherAI/pythia-160m" : ""),
    { cause },
  );
}

/** Adds that the name could also have been a path. */
function withOtherReading(error: unknown, reference: string): unknown {
  const codes = ["MODEL_NOT_FOUND", "MODEL_NOT_CACHED"];
  if (!(error instanceof AttentionBypassError) || !codes.includes(error.code)) return error;
  return new AttentionBypassError(error.code, `${error.message}; there is no file or folder ${reference} either`, {
    cause: error,
  });
}

/** Returns whether a reference is a path: of a file or folder that exists, or that is there but can't be read. */
async function isPath(reference: string): Promise<boolean> {
  return stat(reference).then(
    () => true,
    (error: unknown) => !["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? ""),
  );
}

/**
 * Returns whether a reference is the name of a model on the hub, `org/name` or `org/name@revision`, and not an existing
 * path.
 */
export async function isOnHub(reference: string): Promise<boolean> {
  return looksLikeModelId(reference) && !(await isPath(reference));
}

/**
 * Returns an existing path unchanged. Downloads a model of the hub otherwise, as `download` does. The options must be
 * valid. Throws FILE_NOT_FOUND, INVALID_ARGUMENT and the codes of `download`.
 */
export async function findModel(reference: string, options: DownloadOptions = {}): Promise<FoundModel> {
  if (await isOnHub(reference)) {
    const model = parseModelId(reference, options.revision);
    // Loaded only here, because the modules for networks are slow to load.
    const { findSnapshot } = await import("./download.js");
    const { folder, commit } = await findSnapshot(model, options).catch((error: unknown) => {
      throw withOtherReading(error, reference);
    });
    return { path: folder, ...model, commit };
  }
  await stat(reference).catch((error: unknown) => {
    throw notFound(reference, error);
  });
  if (options.revision === undefined) return { path: reference };
  throw new AttentionBypassError(
    "INVALID_ARGUMENT",
    `expected options.revision only with the name of a model on the hub, because ${reference} is a file or folder, but ` +
      `received ${JSON.stringify(options.revision)}`,
  );
}
