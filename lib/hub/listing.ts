import * as v from "valibot";
import { packageVersion } from "../addon/addon.js";
import type { ContentHash } from "../download/hash.js";
import { readText, request } from "../download/request.js";
import { downloadFailed, retrying } from "../download/retry.js";
import { quoted } from "../errors/quoted.js";
import { problemOf } from "../errors/validation.js";
import { isCommit, type ModelId } from "./model-id.js";
import { refusalOf } from "./refusals.js";
import type { HubSettings } from "./settings.js";

/** A file of a model on the hub. */
export interface HubFile {
  /** The path in the model's repository. */
  readonly path: string;
  /** The size in bytes. */
  readonly size: number;
  readonly hash: ContentHash;
}

/** The files of a model at a commit, by path. */
export interface Listing {
  readonly commit: string;
  readonly files: ReadonlyMap<string, HubFile>;
}

/** The most bytes of an answer of the hub's API, enough for two hundred thousand files. */
const longestAnswer = 2 ** 26;

const encoded = (...parts: string[]) => parts.map(encodeURIComponent).join("/");

const count = v.pipe(
  v.number(),
  v.check((value: number) => Number.isSafeInteger(value) && value >= 0, "a number of bytes"),
);
const hexadecimal = (digits: number) =>
  v.pipe(
    v.string(),
    v.check((value: string) => value.length === digits && /^[0-9a-f]+$/.test(value), `${digits} hexadecimal digits`),
  );

const listingFields = v.looseObject({
  sha: hexadecimal(40),
  siblings: v.array(
    v.looseObject({
      rfilename: v.pipe(
        v.string(),
        v.check((value: string) => isInside(value), "a path inside of the repository"),
      ),
      size: v.nullish(count),
      blobId: v.nullish(hexadecimal(40)),
      lfs: v.nullish(v.looseObject({ sha256: hexadecimal(64), size: count })),
    }),
  ),
});

const target = v.looseObject({ name: v.string(), targetCommit: hexadecimal(40) });
const refsFields = v.looseObject({ branches: v.array(target), tags: v.optional(v.array(target), []) });

function isInside(name: string): boolean {
  return !name.includes("\0") && name.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/** The URL of a file of a model. */
export function fileUrl({ endpoint }: HubSettings, { id, revision }: ModelId, file: string): string {
  return `${endpoint}/${id}/resolve/${encodeURIComponent(revision)}/${encoded(...file.split("/"))}`;
}

/** What every request to the hub has. */
export function requestOptions(model: ModelId, settings: HubSettings) {
  return {
    headers: { "user-agent": `attention-bypass/${packageVersion}` },
    authorization: settings.token === undefined ? undefined : `Bearer ${settings.token}`,
    refuse: (response: Parameters<typeof refusalOf>[0]) => refusalOf(response, model, settings),
  };
}

/** Requests a small text from the hub. Throws DOWNLOAD_FAILED and the codes of `refusalOf`. */
export function fetchText(
  url: string,
  model: ModelId,
  settings: HubSettings,
  signal: AbortSignal | undefined,
): Promise<string> {
  const options = { ...requestOptions(model, settings), signal };
  return retrying(url, signal, () => request(url, options, (response) => readText(response, url, longestAnswer)));
}

async function fetchJson<Schema extends v.GenericSchema>(
  schema: Schema,
  apiPath: string,
  model: ModelId,
  settings: HubSettings,
  signal: AbortSignal | undefined,
): Promise<v.InferOutput<Schema>> {
  const url = `${settings.endpoint}/api/models/${model.id}/${apiPath}`;
  const text = await fetchText(url, model, settings, signal);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw downloadFailed(url, `the answer is not JSON: ${quoted(text)}; check the endpoint and the proxy`);
  }
  const result = v.safeParse(schema, json, { abortEarly: true });
  if (!result.success) throw downloadFailed(url, `in the answer, ${problemOf(result.issues[0])}`);
  return result.output;
}

/** Requests the commit of a revision and its files. Throws DOWNLOAD_FAILED and the codes of `refusalOf`. */
export async function fetchListing(
  model: ModelId,
  settings: HubSettings,
  signal: AbortSignal | undefined,
): Promise<Listing> {
  const apiPath = `revision/${encodeURIComponent(model.revision)}?blobs=true`;
  const { sha, siblings } = await fetchJson(listingFields, apiPath, model, settings, signal);
  if (isCommit(model.revision) && sha !== model.revision) {
    throw downloadFailed(`${model.id}@${model.revision}`, `the hub answered with the commit ${sha}`);
  }
  const files = new Map<string, HubFile>();
  for (const { rfilename, size, blobId, lfs } of siblings) {
    const hash = lfs ? { algorithm: "sha256" as const, value: lfs.sha256 } : undefined;
    const gitHash = blobId ? { algorithm: "git-sha1" as const, value: blobId } : undefined;
    const bytes = lfs?.size ?? size;
    const known = hash ?? gitHash;
    if (known === undefined || bytes == null) {
      throw downloadFailed(`${model.id}@${model.revision}`, `the hub gives no size or hash of ${quoted(rfilename)}`);
    }
    files.set(rfilename, { path: rfilename, size: bytes, hash: known });
  }
  return { commit: sha, files };
}

/** Requests the branches and tags of a model. Throws DOWNLOAD_FAILED and the codes of `refusalOf`. */
export async function fetchRefs(id: string, settings: HubSettings, signal: AbortSignal | undefined) {
  const { branches, tags } = await fetchJson(refsFields, "refs", { id, revision: "main" }, settings, signal);
  return [...branches, ...tags].map(({ name, targetCommit }) => ({ name, commit: targetCommit }));
}
