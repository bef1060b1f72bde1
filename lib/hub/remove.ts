import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { writing } from "../download/disk.js";
import { invalidArgument, validate } from "../errors/validation.js";
import { incompleteBlobs } from "./blob.js";
import { ifExists, linkedBlob, type ModelCache, modelCache } from "./cache.js";
import { isCommit, parseModelId } from "./model-id.js";
import { type DownloadOptions, downloadSchema } from "./options.js";
import { resolveSettings } from "./settings.js";

/** Returns the paths of all files below a folder, relative to it; none if it does not exist. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = (await ifExists(() => readdir(folder, { recursive: true, withFileTypes: true }))) ?? [];
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
}

/** Returns the names of the blobs to which the files of a snapshot link. */
async function blobsOf(cache: ModelCache, commit: string): Promise<Set<string>> {
  const folder = path.join(cache.snapshots, commit);
  const blobs = new Set<string>();
  for (const file of await filesBelow(folder)) {
    const blob = await linkedBlob(cache, path.join(folder, file));
    if (blob !== undefined) blobs.add(blob);
  }
  return blobs;
}

/**
 * Removes the snapshot of a commit from the cache, the refs that name it, and the blobs that no other snapshot of the
 * model uses. Other refs and snapshots stay. Does nothing if the snapshot is not in the cache. After an interruption, a
 * second call removes the rest. Throws INVALID_ARGUMENT, WRITE_FAILED.
 */
export async function removeRevision(id: string, commit: string, options: DownloadOptions = {}): Promise<void> {
  const checked = validate(downloadSchema, options, "options");
  if (!isCommit(commit)) throw invalidArgument("commit", "a commit of 40 hexadecimal digits", commit);
  const cache = modelCache(await resolveSettings(checked), parseModelId(id, undefined).id);
  await writing(cache.folder, async () => {
    for (const ref of await filesBelow(cache.refs)) {
      const place = path.join(cache.refs, ref);
      if ((await readFile(place, "utf8")).trim() === commit) await rm(place, { force: true });
    }
    const unused = await blobsOf(cache, commit);
    for (const other of (await ifExists(() => readdir(cache.snapshots))) ?? []) {
      if (other !== commit) for (const blob of await blobsOf(cache, other)) unused.delete(blob);
    }
    for (const blob of unused) {
      for (const name of [blob, ...(await incompleteBlobs(cache, blob))]) {
        await rm(path.join(cache.blobs, name), { force: true });
      }
    }
    // Last, because its links name the blobs. The Python package writes the other two.
    await rm(path.join(cache.folder, "trees", `${commit}.json`), { force: true });
    await rm(path.join(cache.folder, ".no_exist", commit), { recursive: true, force: true });
    await rm(path.join(cache.snapshots, commit), { recursive: true, force: true });
  });
}
