import { readdir, readFile, readlink, stat } from "node:fs/promises";
import path from "node:path";
import { systemCode } from "../errors/errors.js";
import { isCommit } from "./model-id.js";
import type { HubSettings } from "./settings.js";

/** The folders of one model in the Hugging Face cache. */
export interface ModelCache {
  /** models--org--name, with refs, blobs and snapshots. */
  readonly folder: string;
  /** A file for each branch or tag, which contains its commit. */
  readonly refs: string;
  /** The contents of all files, named after their hashes. */
  readonly blobs: string;
  /** A folder for each commit, with links to blobs. */
  readonly snapshots: string;
  /** Locks between processes, one for each blob. */
  readonly locks: string;
}

export function modelCache({ cacheFolder }: HubSettings, id: string): ModelCache {
  const name = `models--${id.replace("/", "--")}`;
  const folder = path.join(cacheFolder, name);
  return {
    folder,
    refs: path.join(folder, "refs"),
    blobs: path.join(folder, "blobs"),
    snapshots: path.join(folder, "snapshots"),
    locks: path.join(cacheFolder, ".locks", name),
  };
}

/** Returns the value of `read`, or undefined if the file or folder does not exist. */
export async function ifExists<Value>(read: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await read();
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  }
}

/** Returns the size of a file, with links followed; undefined if there is none. */
export async function fileSize(file: string): Promise<number | undefined> {
  const found = await ifExists(() => stat(file));
  return found?.isFile() ? found.size : undefined;
}

/** Returns the commit of a revision in the cache; undefined if the cache does not have it. */
export async function cachedCommit({ refs }: ModelCache, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision;
  const commit = (await ifExists(async () => (await stat(path.join(refs, revision))).isFile()))
    ? (await readFile(path.join(refs, revision), "utf8")).trim()
    : "";
  return isCommit(commit) ? commit : undefined;
}

/** Returns the branches and tags in the cache, with their commits. */
export async function cachedRefs(cache: ModelCache): Promise<{ name: string; commit: string }[]> {
  const entries = (await ifExists(() => readdir(cache.refs, { recursive: true }))) ?? [];
  const found = [];
  for (const name of entries.sort()) {
    const commit = await cachedCommit(cache, name);
    if (commit !== undefined && !isCommit(name)) found.push({ name, commit });
  }
  return found;
}

/** Returns the names of the files at the top of a snapshot whose content is in the cache. */
export async function cachedFiles({ snapshots }: ModelCache, commit: string): Promise<Set<string>> {
  const names = (await ifExists(() => readdir(path.join(snapshots, commit)))) ?? [];
  const present = new Set<string>();
  for (const name of names) {
    if ((await fileSize(path.join(snapshots, commit, name))) !== undefined) present.add(name);
  }
  return present;
}

/** Returns the name of the blob to which a file of a snapshot links; undefined if it is not a link to one. */
export async function linkedBlob({ blobs }: ModelCache, file: string): Promise<string | undefined> {
  const target = await readlink(file).catch(() => undefined);
  if (target === undefined) return undefined;
  const place = path.resolve(path.dirname(file), target);
  return path.dirname(place) === path.resolve(blobs) ? path.basename(place) : undefined;
}
