// Hubs that are wrong or hostile: each answer leads to an error with a code, and nothing is written outside the cache.

import { writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import path from "node:path";
import { download } from "attention-bypass";
import t, { type Test } from "tap";
import { temporaryFolder } from "./support/fixtures.ts";
import { checkCache, checkpoint, contents, hubFor, id, writeFiles } from "./support/hub-cache.ts";
import { accepted, type HubRequest } from "./support/hub-server.ts";

t.setTimeout(120_000);
for (const name of Object.keys(process.env)) if (/^(HF|HUGGING|TRANSFORMERS)_/.test(name)) delete process.env[name];
process.env.HF_HOME = await temporaryFolder(t);

const files = checkpoint();
const weights = files["model.safetensors"];
const commit = "a".repeat(40);
const blobId = "b".repeat(40);
const file = (rfilename: unknown, more: object = {}) => ({ rfilename, size: 10, blobId, ...more });
const listing = (...siblings: object[]) =>
  JSON.stringify({ sha: commit, siblings: [file("config.json"), ...siblings] });

/** Downloads from a hub whose answers are changed, and checks what holds after each failure. */
async function refuses(
  t: Test,
  name: string,
  answer: (request: HubRequest, response: ServerResponse) => boolean | Promise<boolean>,
  expected: { code: string; message: RegExp },
) {
  await t.test(name, async (t) => {
    const hub = await hubFor(t, { models: { [id]: { revisions: { main: await writeFiles(t, files) } } } });
    const home = await temporaryFolder(t);
    const cache = path.join(home, "a", "cache");
    hub.intercept = answer;
    const options = { endpoint: hub.endpoint, cacheFolder: cache, token: accepted };
    await t.rejects(download(id, options), expected);
    const outside = Object.keys(contents(home)).filter((entry) => !entry.startsWith("a/cache/"));
    t.same(outside, [], "nothing is outside the cache");
    checkCache(t, cache);
    t.notOk(
      Object.keys(contents(cache)).some((entry) => entry.includes("refs/")),
      "no ref to an incomplete snapshot",
    );
  });
}

const api = (text: string | Buffer) => (request: HubRequest, response: ServerResponse) => {
  if (!request.url.startsWith("/api/")) return false;
  response.end(text);
  return true;
};
const storage = (answer: (response: ServerResponse) => void) => (request: HubRequest, response: ServerResponse) => {
  if (request.storage) answer(response);
  return request.storage;
};
const failed = (message: RegExp) => ({ code: "DOWNLOAD_FAILED", message });

/** Writes without an end, as fast as the other side reads. */
function endless(response: ServerResponse, chunk: Buffer): void {
  const more = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on("drain", more);
  more();
}

t.test("listings", async (t) => {
  for (const name of ["../up", "/etc/passwd", "a/../../up", "a\0b", "", "a//b", 7, null]) {
    await refuses(t, JSON.stringify(name), api(listing(file(name))), failed(/rfilename/));
  }
  const wrong: [what: string, text: string | Buffer, message: RegExp][] = [
    ["HTML with 200", "<!doctype html><p>Sign in", /not JSON: "<!doctype html><p>Sign in"/],
    ["no object", "[]", /siblings|sha|it is/],
    ["a commit that is a path", JSON.stringify({ sha: "../../up", siblings: [] }), /sha is "..\/..\/up"/],
    ["a hash that is a path", listing(file("model.safetensors", { blobId: "../../up" })), /blobId/],
    ["an LFS hash that is a path", listing(file("model.safetensors", { lfs: { sha256: "/a", size: 1 } })), /sha256/],
    ["a negative size", listing(file("model.safetensors", { size: -1 })), /size/],
    ["a size without end", listing(file("model.safetensors", { size: 1e300 })), /size/],
    ["no size", listing({ rfilename: "model.safetensors" }), /no size or hash of "model.safetensors"/],
    ["deep JSON", "[".repeat(100_000), /not JSON/],
  ];
  for (const [what, text, message] of wrong) await refuses(t, what, api(text), failed(message));
  await refuses(t, "more bytes than any disk has", api(listing(file("model.safetensors", { size: 2 ** 52 }))), {
    code: "DISK_FULL",
    message: /HF_HUB_CACHE/,
  });
  await refuses(
    t,
    "without end",
    (request, response) => {
      if (!request.url.startsWith("/api/")) return false;
      endless(response, Buffer.alloc(2 ** 20, " "));
      return true;
    },
    failed(/more than 67108864 bytes/),
  );
});

t.test("files", async (t) => {
  await refuses(
    t,
    "HTML with 200",
    storage((response) => {
      response.setHeader("content-type", "text/html");
      response.end("<!doctype html>");
    }),
    failed(/offers 15 bytes \(text\/html\) of a file that has 300000/),
  );
  await refuses(
    t,
    "of a length that is not said",
    storage((response) => {
      response.write(weights.subarray(0, 1000));
      response.end("x".repeat(weights.length));
    }),
    failed(/sends more than 300000 bytes/),
  );
  await refuses(
    t,
    "without end",
    storage((response) => endless(response, Buffer.alloc(65_536))),
    failed(/more than 300000/),
  );
  await refuses(
    t,
    "that are not there",
    (request, response) => {
      if (!request.url.endsWith("config.json")) return false;
      response.writeHead(404, { "x-error-code": "EntryNotFound" }).end();
      return true;
    },
    failed(/HTTP 404/),
  );
});

t.test("redirects", async (t) => {
  const to = (location: string) => (request: HubRequest, response: ServerResponse) => {
    if (request.storage) return false;
    response.writeHead(302, { location }).end();
    return true;
  };
  await refuses(t, "in a circle", to("/again"), failed(/more than 10 times/));
  await refuses(t, "to a file", to("file:///etc/passwd"), failed(/file:/));
  await refuses(t, "to nowhere", to("http://["), failed(/invalid URL/));
  // To another host and back: the authorization stays away.
  const hub = await hubFor(t, { models: {} });
  hub.intercept = ({ storage, url }, response) => {
    if (url === "/back") response.end("no JSON");
    else response.writeHead(307, { location: storage ? `${hub.endpoint}/back` : `${hub.storage}/away` }).end();
    return true;
  };
  const cacheFolder = await temporaryFolder(t);
  await t.rejects(download(id, { endpoint: hub.endpoint, token: accepted, cacheFolder }), failed(/not JSON/));
  const authorizations = hub.requests.map(({ authorization }) => authorization);
  t.same(authorizations, [`Bearer ${accepted}`, undefined, undefined]);
});

t.test("a cache where no folder can be created is an error", async (t) => {
  const hub = await hubFor(t, { models: { [id]: { revisions: { main: await writeFiles(t, files) } } } });
  const blocked = await temporaryFolder(t);
  await writeFile(path.join(blocked, "file"), "");
  for (const cacheFolder of ["/proc/missing/cache", path.join(blocked, "file", "cache"), path.join(blocked, "file")]) {
    const options = { endpoint: hub.endpoint, cacheFolder, token: accepted };
    await t.rejects(download(id, options), { code: "WRITE_FAILED" }, cacheFolder);
  }
});
