import type { DownloadOptions } from "./options.js";

/**
 * Removes the snapshot of a commit from the cache, the refs that name it, and the blobs that no other snapshot of the
 * model uses.
 */
export function removeRevision(id: string, commit: string, _options: DownloadOptions = {}): Promise<void> {
  throw new Error(`not implemented: ${id} ${commit}`);
}
