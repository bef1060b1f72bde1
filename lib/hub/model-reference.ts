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

/** Returns an existing path unchanged, and downloads `org/name` or `org/name@revision` otherwise. */
export function findModel(reference: string, _options: DownloadOptions = {}): Promise<FoundModel> {
  throw new Error(`not implemented: ${reference}`);
}
