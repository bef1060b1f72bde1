import { readFile } from "node:fs/promises";
import path from "node:path";
import { sha256Of } from "../download/hash.js";
import { AttentionBypassError } from "../errors/errors.js";
import { validate } from "../errors/validation.js";
import { cachedRefs, fileSize, linkedBlob, modelCache } from "./cache.js";
import { fetchListing, fetchRefs, fetchText, fileUrl, type Listing } from "./listing.js";
import { type ModelId, parseModelId } from "./model-id.js";
import { type DownloadOptions, downloadSchema } from "./options.js";
import { type HubSettings, resolveSettings } from "./settings.js";
import { cachedSnapshot } from "./snapshot.js";
import { weightPaths } from "./wanted-files.js";

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

/** Returns the branches and tags of a model; with `HF_HUB_OFFLINE`, those in the cache. */
export async function listRevisions(id: string, options: DownloadOptions = {}): Promise<Revision[]> {
  const { signal, ...checked } = validate(downloadSchema, options, "options");
  const model = parseModelId(id, undefined);
  const settings = await resolveSettings(checked);
  if (settings.offline) return cachedRefs(modelCache(settings, model.id));
  return fetchRefs(model.id, settings, signal);
}

/** Returns the commit of a branch or tag, or of a commit. Throws REVISION_NOT_FOUND, MODEL_NOT_CACHED. */
export async function resolveRevision(id: string, revision: string, options: DownloadOptions = {}): Promise<Revision> {
  const { signal, ...checked } = validate(downloadSchema, options, "options");
  const model = parseModelId(id, revision);
  const settings = await resolveSettings(checked);
  const { commit } = settings.offline
    ? await cachedSnapshot(model, settings)
    : await fetchListing(model, settings, signal);
  return { name: revision, commit };
}

/**
 * Returns the weight files that `download` fetches for a commit, without downloading any. Two revisions with equal hashes
 * have equal weights. Throws the codes of `download`.
 */
export async function weightFiles(id: string, commit: string, options: DownloadOptions = {}): Promise<WeightFile[]> {
  const { signal, ...checked } = validate(downloadSchema, options, "options");
  const model = parseModelId(id, commit);
  const settings = await resolveSettings(checked);
  if (settings.offline) return cachedWeights(model, settings);
  const listing = await fetchListing(model, settings, signal);
  return listedWeights(model, listing, settings, signal);
}

const isWeights = (name: string) => !name.endsWith(".json");

async function listedWeights(
  model: ModelId,
  { files, commit }: Listing,
  settings: HubSettings,
  signal: AbortSignal | undefined,
): Promise<WeightFile[]> {
  const atCommit = { id: model.id, revision: commit };
  const names = await weightPaths(files, `${model.id}@${commit}`, (name) =>
    fetchText(fileUrl(settings, atCommit, name), atCommit, settings, signal),
  );
  return [...files.values()]
    .filter(({ path: name }) => names.includes(name) && isWeights(name))
    .map(({ path: name, size, hash }) => ({ path: name, size, hash: hash.value }));
}

/** Reads the hashes from the names of the blobs to which the snapshot links. */
async function cachedWeights(model: ModelId, settings: HubSettings): Promise<WeightFile[]> {
  const cache = modelCache(settings, model.id);
  const { folder, names } = await cachedSnapshot(model, settings);
  const weights = await weightPaths(names, folder, (name) => readFile(path.join(folder, name), "utf8"));
  return Promise.all(
    weights.filter(isWeights).map(async (name) => {
      const file = path.join(folder, name);
      const size = await fileSize(file);
      if (size === undefined) {
        throw new AttentionBypassError("WEIGHTS_MISSING", `expected ${file} but there is no such file`);
      }
      return { path: name, size, hash: (await linkedBlob(cache, file)) ?? (await sha256Of(file)) };
    }),
  );
}
