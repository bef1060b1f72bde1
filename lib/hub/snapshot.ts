import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { requireSpace, writing } from "../download/disk.js";
import { AttentionBypassError, systemCode } from "../errors/errors.js";
import { makeFolder } from "../files/make-folder.js";
import { fetchBlob, linkBlob, missingBytes, writeRef } from "./blob.js";
import { cachedCommit, cachedFiles, fileSize, type ModelCache, modelCache } from "./cache.js";
import { fetchListing, type HubFile } from "./listing.js";
import { isCommit, type ModelId } from "./model-id.js";
import type { DownloadOptions } from "./options.js";
import type { HubSettings } from "./settings.js";
import { smallPaths, wantedFiles, weightPaths } from "./wanted-files.js";

/** The folder of a model's files in the cache. */
export interface Snapshot {
  readonly folder: string;
  readonly commit: string;
}

const nameOf = ({ id, revision }: ModelId) => (revision === "main" ? id : `${id}@${revision}`);

/** Returns the snapshot in the cache, without a request. Throws MODEL_NOT_CACHED. */
export async function cachedSnapshot(
  model: ModelId,
  settings: HubSettings,
): Promise<Snapshot & { names: ReadonlySet<string> }> {
  const cache = modelCache(settings, model.id);
  const refuse = (reason: string, cause?: unknown) =>
    new AttentionBypassError(
      "MODEL_NOT_CACHED",
      `expected ${nameOf(model)} in ${settings.cacheFolder}, because HF_HUB_OFFLINE is set, but ${reason}; download it ` +
        "with a network, or unset HF_HUB_OFFLINE",
      { cause },
    );
  const commit = await cachedCommit(cache, model.revision);
  if (commit === undefined) throw refuse("it is not there");
  const folder = path.join(cache.snapshots, commit);
  const names = await cachedFiles(cache, commit);
  if (names.size === 0) throw refuse(`there is no snapshot of the commit ${commit}`);
  try {
    smallPaths(names, folder);
    await weightPaths(names, folder, (name) => readFile(path.join(folder, name), "utf8"));
  } catch (error) {
    throw refuse(`the snapshot is not complete: ${(error as Error).message}`, error);
  }
  return { folder, commit, names };
}

/** The signature of the Cache Directory Tagging Specification, by which backup programs skip the folder. */
const cacheTag = "Signature: 8a477f597d28d172789f06886806bc55\n";

/** Creates the folders of a model. Backup programs skip a cache with CACHEDIR.TAG. */
async function createFolders(cache: ModelCache, { cacheFolder }: HubSettings): Promise<void> {
  await writing(cache.folder, async () => {
    await makeFolder(cache.blobs);
    await makeFolder(cache.snapshots);
    await makeFolder(cache.refs);
    await writeFile(path.join(cacheFolder, "CACHEDIR.TAG"), cacheTag, { flag: "wx" }).catch(() => {});
  });
}

/** The progress of several files as numbers of bytes. */
class ByteProgress {
  #finished = 0;
  #total = 0;

  constructor(private readonly onBytes: (done: number, total: number) => void) {}

  start(total: number): void {
    this.#total = total;
    this.report(0);
  }

  /** Reports bytes of the current file. */
  report(bytes: number): void {
    this.onBytes(this.#finished + bytes, this.#total);
  }

  finish(bytes: number): void {
    this.#finished += bytes;
    this.report(0);
  }
}

/** Requests the revision and downloads the files that are not in the cache. */
export async function fetchSnapshot(
  model: ModelId,
  settings: HubSettings,
  { signal, onBytes = () => {} }: Pick<DownloadOptions, "onBytes" | "signal">,
): Promise<Snapshot> {
  const cache = modelCache(settings, model.id);
  const listing = await fetchListing(model, settings, signal);
  const { commit } = listing;
  const folder = path.join(cache.snapshots, commit);
  const atCommit = { id: model.id, revision: commit };
  const isThere = async (file: HubFile) => (await fileSize(path.join(folder, ...file.path.split("/")))) === file.size;
  const fetchFile = async (file: HubFile, report: (done: number) => void) => {
    if (await isThere(file)) return;
    await createFolders(cache, settings);
    await fetchBlob(cache, atCommit, file, settings, { signal, onBytes: report });
    await linkBlob(cache, commit, file);
  };
  const files = await wantedFiles(listing, nameOf(model), async (index) => {
    await fetchFile(index, () => {});
    return readFile(path.join(folder, index.path), "utf8");
  });
  const progress = new ByteProgress(onBytes);
  progress.start(files.reduce((sum, { size }) => sum + size, 0));
  let needed = 0;
  for (const file of files) if (!(await isThere(file))) needed += await missingBytes(cache, file);
  if (needed > 0) await requireSpace(cache.blobs, needed, "HF_HUB_CACHE");
  for (const file of files) {
    signal?.throwIfAborted();
    await fetchFile(file, (done) => progress.report(done));
    progress.finish(file.size);
  }
  await updateRef(cache, model.revision, commit);
  return { folder, commit };
}

/** Writes the ref after the files, so that it always names a complete snapshot. A read-only cache is no failure. */
async function updateRef(cache: ModelCache, revision: string, commit: string): Promise<void> {
  if (isCommit(revision) || (await cachedCommit(cache, revision)) === commit) return;
  await writing(cache.refs, () => writeRef(cache, revision, commit)).catch((error: unknown) => {
    if (!["EROFS", "EACCES"].includes(systemCode((error as Error).cause) ?? "")) throw error;
  });
}
