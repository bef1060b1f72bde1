// A local server that behaves like the Hugging Face hub. A second server, with another host, stands for the storage of LFS
// files, to which the hub redirects. The Python package huggingface_hub downloads from it too; see test/hub-python.test.ts.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A model of the server: the folder of each branch. */
export interface ServedModel {
  revisions: Record<string, string>;
  tags?: Record<string, string>;
  /** Whether files need the token `accepted`. */
  gated?: boolean;
  /** Whether everything needs the token `accepted`. */
  private?: boolean;
}

/** The token that has access to gated and private models, and one that is valid and has none. */
export const accepted = "hf_accepted";
export const withoutAccess = "hf_without";

/** A request that the server received. */
export interface HubRequest {
  method: string;
  /** The path with the query. */
  url: string;
  authorization: string | undefined;
  range: string | undefined;
  /** Whether the host for LFS files received it. */
  storage: boolean;
}

/** Answers a request in place of the hub, if it returns true. */
export type Intercept = (request: HubRequest, response: ServerResponse) => boolean | Promise<boolean>;

export interface HubOptions {
  models: Record<string, ServedModel>;
  intercept?: Intercept;
  /** The speed of the storage, in bytes per second. */
  pace?: number;
}

export interface Hub {
  endpoint: string;
  /** The URL of the host for LFS files. */
  storage: string;
  requests: HubRequest[];
  /** The bytes that the storage has sent. */
  sent: number;
  intercept: Intercept | undefined;
  pace: number | undefined;
  /** The commit of a branch or tag. */
  commit(id: string, revision: string): string;
  close(): Promise<void>;
}

interface ServedFile {
  path: string;
  content: Buffer;
  /** The id of the Git blob, which for an LFS file is that of its pointer. */
  oid: string;
  sha256: string;
  lfs: boolean;
}

interface Commit {
  id: string;
  files: ServedFile[];
}

const hash = (algorithm: string, ...parts: (string | Buffer)[]) => {
  const made = createHash(algorithm);
  for (const part of parts) made.update(part);
  return made.digest("hex");
};
const blobId = (content: Buffer) => hash("sha1", `blob ${content.length}\0`, content);

function readFiles(folder: string): ServedFile[] {
  const names = readdirSync(folder, { recursive: true }) as string[];
  return names
    .filter((name) => statSync(path.join(folder, name)).isFile())
    .sort()
    .map((name) => {
      const content = readFileSync(path.join(folder, name));
      const sha256 = hash("sha256", content);
      const lfs = /\.(safetensors|bin|pt|msgpack|h5)$/.test(name);
      const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${content.length}\n`;
      return { path: name, content, oid: blobId(lfs ? Buffer.from(pointer) : content), sha256, lfs };
    });
}

const toCommit = (folder: string): Commit => {
  const files = readFiles(folder);
  return { id: hash("sha1", ...files.map(({ path: name, oid }) => `${name} ${oid}\n`)), files };
};

async function listen(server: Server, host: string): Promise<string> {
  server.listen(0, host);
  await once(server, "listening");
  return `http://${host}:${(server.address() as AddressInfo).port}`;
}

/** Sends content, from the byte where the request asks for it on, at the server's pace. */
async function send(hub: Hub, request: IncomingMessage, response: ServerResponse, content: Buffer): Promise<void> {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (from > 0 && from >= content.length) return void response.writeHead(416).end();
  const rest = content.subarray(from);
  response.writeHead(from > 0 ? 206 : 200, {
    "content-length": rest.length,
    "accept-ranges": "bytes",
    ...(from > 0 && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
  });
  if (request.method === "HEAD") return void response.end();
  let goOn = () => {};
  for (const event of ["drain", "close"]) response.on(event, () => goOn());
  const piece = 16_384;
  for (let at = 0; at < rest.length && !response.destroyed; at += piece) {
    const chunk = rest.subarray(at, at + piece);
    hub.sent += chunk.length;
    if (!response.write(chunk)) await new Promise<void>((resume) => (goOn = resume));
    if (hub.pace !== undefined) await sleep((1000 * chunk.length) / hub.pace);
  }
  response.end();
}

/** Refuses a request as the hub does: the reason is in the headers. */
function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { ...(code && { "x-error-code": code }), "x-error-message": message });
  response.end(JSON.stringify({ error: message }));
}

export async function startHub({ models, intercept, pace }: HubOptions): Promise<Hub> {
  const commits = new Map<string, Commit>();
  const refs = new Map<string, Map<string, Commit>>();
  for (const [id, { revisions, tags = {} }] of Object.entries(models)) {
    const named = Object.entries({ ...revisions, ...tags }).map(([name, folder]) => [name, toCommit(folder)] as const);
    refs.set(id, new Map(named));
    for (const [, commit] of named) commits.set(`${id} ${commit.id}`, commit);
  }
  const find = (id: string, revision: string) => refs.get(id)?.get(revision) ?? commits.get(`${id} ${revision}`);

  /** Whether the request may not go on; then it is answered. */
  function isRefused(id: string, authorization: string | undefined, files: boolean, response: ServerResponse): boolean {
    const model = models[id];
    const token = authorization?.replace(/^Bearer /, "");
    if (token !== undefined && token !== accepted && token !== withoutAccess) {
      refuse(response, 401, "", "Invalid credentials in Authorization header");
      return true;
    }
    if (model === undefined || (model.private && token !== accepted)) {
      // Without a token, the hub does not say whether the model exists.
      if (token === undefined) refuse(response, 401, "RepoNotFound", "Invalid username or password.");
      else refuse(response, 404, "RepoNotFound", "Repository not found");
      return true;
    }
    if (!files || !model.gated || token === accepted) return false;
    refuse(response, token === undefined ? 401 : 403, "GatedRepo", `Access to model ${id} is restricted.`);
    return true;
  }

  const json = (response: ServerResponse, value: object) => {
    response.writeHead(200, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(value));
  };

  function answerApi(id: string, rest: string, query: URLSearchParams, response: ServerResponse) {
    const [kind, revision = "main"] = rest.split("/").map(decodeURIComponent) as [string, string?];
    if (kind === "refs") {
      const list = (names: Record<string, string>, prefix: string) =>
        Object.keys(names).map((name) => ({
          name,
          ref: `${prefix}${name}`,
          targetCommit: refs.get(id)?.get(name)?.id,
        }));
      const { revisions = {}, tags = {} } = models[id] ?? {};
      return json(response, {
        branches: list(revisions, "refs/heads/"),
        tags: list(tags, "refs/tags/"),
        converts: [],
      });
    }
    const commit = find(id, revision);
    if (commit === undefined) return refuse(response, 404, "RevisionNotFound", `Invalid rev id: ${revision}`);
    const entries = commit.files.map(({ path: name, content, oid, sha256, lfs }) => ({
      path: name,
      size: content.length,
      oid,
      lfs: lfs ? { oid: sha256, sha256, size: content.length, pointerSize: 134 } : undefined,
    }));
    if (kind === "tree") return json(response, entries.map((entry) => ({ type: "file", ...entry })) as object);
    const blobs = query.has("blobs");
    json(response, {
      _id: "0",
      id,
      modelId: id,
      sha: commit.id,
      private: false,
      gated: models[id]?.gated ? "auto" : false,
      disabled: false,
      downloads: 1,
      likes: 0,
      tags: [],
      lastModified: "2024-01-01T00:00:00.000Z",
      createdAt: "2024-01-01T00:00:00.000Z",
      siblings: entries.map(({ path: name, size, oid, lfs }) => ({
        rfilename: name,
        ...(blobs && { size, blobId: oid, lfs }),
      })),
    });
  }

  async function answerFile(id: string, rest: string, request: IncomingMessage, response: ServerResponse) {
    const [encodedRevision = "", ...names] = rest.split("/");
    const revision = decodeURIComponent(encodedRevision);
    const commit = find(id, revision);
    if (commit === undefined) return refuse(response, 404, "RevisionNotFound", `Invalid rev id: ${revision}`);
    const name = names.map(decodeURIComponent).join("/");
    const file = commit.files.find(({ path: one }) => one === name);
    response.setHeader("x-repo-commit", commit.id);
    if (file === undefined) return refuse(response, 404, "EntryNotFound", "Entry not found");
    if (!file.lfs) {
      response.setHeader("etag", `"${file.oid}"`);
      return send(hub, request, response, file.content);
    }
    const location = `${hub.storage}/${file.sha256}?signature=1`;
    response.writeHead(302, {
      location,
      "x-linked-etag": `"${file.sha256}"`,
      "x-linked-size": file.content.length,
    });
    response.end();
  }

  async function handle(request: IncomingMessage, response: ServerResponse, storage: boolean): Promise<void> {
    const { method = "GET", url = "/", headers } = request;
    const { authorization, range } = headers;
    const seen: HubRequest = { method, url, authorization, range, storage };
    hub.requests.push(seen);
    if (await hub.intercept?.(seen, response)) return;
    if (storage) {
      const sha256 = url.slice(1, 65);
      const file = [...commits.values()].flatMap(({ files }) => files).find((one) => one.sha256 === sha256);
      return file ? send(hub, request, response, file.content) : void response.writeHead(403).end();
    }
    const { pathname, searchParams } = new URL(url, hub.endpoint);
    const api = /^\/api\/models\/([^/]+\/[^/]+)\/((?:revision|tree|refs).*)$/.exec(pathname);
    const resolve = /^\/([^/]+\/[^/]+)\/resolve\/(.+)$/.exec(pathname);
    const [, id = "", rest = ""] = api ?? resolve ?? [];
    if (!api && !resolve) return refuse(response, 404, "", "Not found");
    if (isRefused(id, authorization, resolve !== null, response)) return;
    if (api) return answerApi(id, rest, searchParams, response);
    return answerFile(id, rest, request, response);
  }

  const servers = [false, true].map((storage) =>
    createServer((request, response) => {
      handle(request, response, storage).catch(() => response.destroy());
    }),
  ) as [Server, Server];
  const hub: Hub = {
    endpoint: await listen(servers[0], "127.0.0.1"),
    storage: await listen(servers[1], "127.0.0.2"),
    requests: [],
    sent: 0,
    intercept,
    pace,
    commit: (id, revision) => (find(id, revision) as Commit).id,
    async close() {
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
  return hub;
}
