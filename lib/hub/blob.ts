import { randomBytes } from "node:crypto";
import { copyFile, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { writing } from "../download/disk.js";
import { lock } from "../download/lock.js";
import { type DownloadControl, downloadVerified } from "../download/verified-download.js";
import { systemCode } from "../errors/errors.js";
import { makeFolder } from "../files/make-folder.js";
import { fileSize, ifExists, linkedBlob, type ModelCache } from "./cache.js";
import { fileUrl, type HubFile, requestOptions } from "./listing.js";
import type { ModelId } from "./model-id.js";
import type { HubSettings } from "./settings.js";

/**
 * The end of the names of this package's incomplete blobs, after the hash and a unique part. Only these are continued;
 * the Python package may still be writing its own, <hash>.<8 digits>.incomplete.
 */
const ending = ".node.incomplete";

const unique = () => randomBytes(4).toString("hex");

/** Returns the names of incomplete blobs of this package. */
export async function incompleteBlobs({ blobs }: ModelCache, hash: string): Promise<string[]> {
  const names = (await ifExists(() => readdir(blobs))) ?? [];
  return names.filter((name) => name.startsWith(`${hash}.`) && name.endsWith(ending));
}

async function incompleteSizes(cache: ModelCache, hash: string): Promise<{ place: string; size: number }[]> {
  const found = [];
  for (const name of await incompleteBlobs(cache, hash)) {
    const place = path.join(cache.blobs, name);
    found.push({ place, size: (await fileSize(place)) ?? 0 });
  }
  return found.sort((one, other) => other.size - one.size);
}

/** Returns the number of bytes of a file that are still to be downloaded. */
export async function missingBytes(cache: ModelCache, { hash, size }: HubFile): Promise<number> {
  if ((await fileSize(path.join(cache.blobs, hash.value))) === size) return 0;
  const [largest] = await incompleteSizes(cache, hash.value);
  return size - Math.min(size, largest?.size ?? 0);
}

/** Gives the largest incomplete blob of an earlier download a new unique name, and removes the others. */
async function takeIncomplete(cache: ModelCache, hash: string): Promise<string> {
  const part = path.join(cache.blobs, `${hash}.${unique()}${ending}`);
  const [largest, ...others] = await incompleteSizes(cache, hash);
  for (const { place } of others) await rm(place, { force: true });
  if (largest !== undefined) await rename(largest.place, part);
  return part;
}

/** Runs work that holds the lock of a blob. The work is aborted if another process takes the lock. */
async function withLock(
  { locks }: ModelCache,
  hash: string,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  await makeFolder(locks);
  const lost = new AbortController();
  // Not <hash>.lock, which the Python package creates as a file.
  const place = path.join(locks, `${hash}.node`);
  const release = await writing(place, () => lock(place, { signal, onLost: () => lost.abort(lostLock) }));
  try {
    await work(signal === undefined ? lost.signal : AbortSignal.any([signal, lost.signal]));
  } finally {
    await release().catch(() => {});
  }
}

const lostLock = new Error("another process has taken the lock");

/** Downloads the content of a file to its blob, unless it is there. Throws the codes of `downloadVerified`. */
export async function fetchBlob(
  cache: ModelCache,
  model: ModelId,
  file: HubFile,
  settings: HubSettings,
  { signal, onBytes }: DownloadControl,
): Promise<void> {
  const blob = path.join(cache.blobs, file.hash.value);
  const isThere = async () => (await fileSize(blob)) === file.size;
  while (!(await isThere())) {
    signal?.throwIfAborted();
    try {
      await withLock(cache, file.hash.value, signal, async (both) => {
        if (await isThere()) return;
        const part = await writing(cache.blobs, () => takeIncomplete(cache, file.hash.value));
        const url = fileUrl(settings, model, file.path);
        const download = { url, file: blob, part, hash: file.hash, size: file.size };
        await downloadVerified({ ...download, ...requestOptions(model, settings) }, { signal: both, onBytes });
      });
    } catch (error) {
      if (error !== lostLock) throw error;
    }
  }
}

/** File systems without symbolic links. */
const withoutLinks = ["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"];

/** Makes a file of a snapshot a relative link to its blob, atomically, or a copy if there are no links. */
export async function linkBlob(cache: ModelCache, commit: string, file: HubFile): Promise<void> {
  const place = path.join(cache.snapshots, commit, ...file.path.split("/"));
  const blob = path.join(cache.blobs, file.hash.value);
  if ((await linkedBlob(cache, place)) === file.hash.value) return;
  await writing(place, async () => {
    await makeFolder(path.dirname(place));
    const temporary = path.join(cache.blobs, `${file.hash.value}.${unique()}.link`);
    try {
      await symlink(path.relative(path.dirname(place), blob), temporary).catch((error: unknown) => {
        if (!withoutLinks.includes(systemCode(error) ?? "")) throw error;
        return copyFile(blob, temporary);
      });
      await rename(temporary, place);
    } finally {
      await rm(temporary, { force: true });
    }
  });
}

/** Writes the commit of a branch or tag, atomically. */
export async function writeRef({ refs }: ModelCache, revision: string, commit: string): Promise<void> {
  const place = path.join(refs, revision);
  const temporary = `${place}.${unique()}.tmp`;
  await makeFolder(path.dirname(place));
  try {
    await writeFile(temporary, commit);
    await rename(temporary, place);
  } finally {
    await rm(temporary, { force: true });
  }
}
