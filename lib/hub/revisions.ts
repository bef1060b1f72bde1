import type { DownloadOptions } from "./options.js";

/** A branch, tag or commit of a model on the hub. */
export interface Revision {
  /** The name of the branch or tag, or the commit itself. */
  name: string;
  /** The commit, 40 hexadecimal digits. */
  commit: string;
}

/** A file of a revision that a download fetches. */
export interface WeightFile {
  path: string;
  /** The size in bytes. */
  size: number;
  /** The SHA-256 of a file in Git LFS, and the Git blob SHA-1 of another file. */
  hash: string;
}

/** Returns the branches and tags of a model. */
export function listRevisions(id: string, _options: DownloadOptions = {}): Promise<Revision[]> {
  throw new Error(`not implemented: ${id}`);
}

/** Returns the commit of a branch or tag, or of a commit. */
export function resolveRevision(id: string, revision: string, _options: DownloadOptions = {}): Promise<Revision> {
  throw new Error(`not implemented: ${id} ${revision}`);
}

/** Returns the weight files that `download` would fetch, before any of them is downloaded. */
export function weightFiles(id: string, commit: string, _options: DownloadOptions = {}): Promise<WeightFile[]> {
  throw new Error(`not implemented: ${id} ${commit}`);
}
