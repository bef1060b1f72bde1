// The cache is shared with the Python package huggingface_hub, which tells what a cache has to look like: each finds what
// the other downloaded, and both take the same variables.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { download } from "attention-bypass";
import t from "tap";
import { removeRevision } from "../lib/hub/remove.ts";
import { listRevisions, resolveRevision, weightFiles } from "../lib/hub/revisions.ts";
import { resolveSettings } from "../lib/hub/settings.ts";
import { root } from "./support/child.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { checkCache, checkpoint, contents, fetched, hubFor, id, sha256, writeFiles } from "./support/hub-cache.ts";
import { noPython, python } from "./support/python.ts";

t.setTimeout(120_000);
for (const name of Object.keys(process.env)) if (/^(HF|HUGGING|TRANSFORMERS)_/.test(name)) delete process.env[name];
process.env.HF_HOME = await temporaryFolder(t);

const interpreter = python();
const withPython = { skip: !interpreter && noPython };

async function hubOfPython<Value>(what: string, more: object, environment: NodeJS.ProcessEnv = {}): Promise<Value> {
  const script = path.join(root, "test", "reference", "hub.py");
  const { stdout } = await promisify(execFile)(interpreter as string, [script, JSON.stringify({ what, ...more })], {
    env: { ...process.env, HF_HUB_DISABLE_PROGRESS_BARS: "1", ...environment },
  });
  return JSON.parse(stdout) as Value;
}

const files = checkpoint();
const { "model.safetensors": weights } = files;

t.test("Python finds what this package downloaded, and this package what Python downloaded", withPython, async (t) => {
  const older = { ...files, "config.json": '{ "older": true }' };
  const revisions = { main: await writeFiles(t, files), step1: await writeFiles(t, older) };
  const hub = await hubFor(t, { models: { [id]: { revisions } } });
  const [cache, theirs] = [await temporaryFolder(t), await temporaryFolder(t)];
  const ours = { endpoint: hub.endpoint, cacheFolder: cache };
  const environment = { HF_ENDPOINT: hub.endpoint };
  const folders = [await download(id, ours), await download(id, { ...ours, revision: "step1" })];
  const local = { local_files_only: true };
  const found = [
    await hubOfPython("snapshot", { id, cache, options: local }),
    await hubOfPython("snapshot", { id, cache, options: { ...local, revision: "step1" } }),
  ];
  t.same(found, folders);
  // The same downloads by Python. It adds locks and its list of the files of a commit.
  for (const revision of ["main", "step1"]) {
    const options = { allow_patterns: fetched, revision };
    await hubOfPython("snapshot", { id, cache: theirs, options }, environment);
  }
  const without = (folder: string) =>
    Object.fromEntries(Object.entries(contents(folder)).filter(([name]) => !/^\.locks|\/trees\/|^CACHEDIR/.test(name)));
  t.same(without(cache), without(theirs), "the same files and links");
  const first = (folder: string, name: string) => readFileSync(path.join(folder, name), "utf8").split("\n")[0];
  for (const name of ["CACHEDIR.TAG", "models--org--name/refs/main", "models--org--name/refs/step1"]) {
    t.equal(first(cache, name), first(theirs, name), name);
  }
  const scanned = await hubOfPython<{ repos: object[] }>("scan", { cache });
  t.same(scanned, await hubOfPython("scan", { cache: theirs }));
  t.match(scanned, { warnings: [], repos: [[id, ["main", "step1"]]] });

  hub.requests.length = 0;
  const again = await download(id, { ...ours, cacheFolder: theirs });
  t.equal(path.relative(theirs, again), path.relative(cache, folders[0] as string));
  t.same(hub.requests.length, 1, "only the revision");
  process.env.HF_HUB_OFFLINE = "1";
  t.teardown(() => delete process.env.HF_HUB_OFFLINE);
  t.equal(await download(id, { cacheFolder: theirs }), again);
  t.same(await weightFiles(id, hub.commit(id, "main"), { cacheFolder: theirs }), [
    { path: "model.safetensors", size: weights.length, hash: sha256(weights) },
  ]);
  t.same(await listRevisions(id, { cacheFolder: theirs }), [
    { name: "main", commit: hub.commit(id, "main") },
    { name: "step1", commit: hub.commit(id, "step1") },
  ]);
});

t.test("revisions: listing, hashes before a download, and removal", async (t) => {
  const other = checkpoint(1000);
  const revisions = {
    main: await writeFiles(t, files),
    step1: await writeFiles(t, { ...files, "config.json": '{ "older": true }' }),
    step2: await writeFiles(t, other),
  };
  const hub = await hubFor(t, { models: { [id]: { revisions, tags: { v1: revisions.main } } } });
  const cache = await temporaryFolder(t);
  const options = { endpoint: hub.endpoint, cacheFolder: cache };
  const commit = (name: string) => hub.commit(id, name);
  const names = ["main", "step1", "step2", "v1"];
  t.same(
    await listRevisions(id, options),
    names.map((name) => ({ name, commit: commit(name) })),
  );
  t.same(await resolveRevision(id, "step2", options), { name: "step2", commit: commit("step2") });
  await t.rejects(resolveRevision(id, "step3", options), { code: "REVISION_NOT_FOUND" });
  const file = { path: "model.safetensors", size: weights.length, hash: sha256(weights) };
  t.same(await weightFiles(id, commit("main"), options), [file]);
  t.same(await weightFiles(id, commit("step1"), options), [file], "step1 has the same weights");
  t.same(contents(cache), {}, "nothing was downloaded");

  const folders = new Map<string, string>();
  for (const revision of names) folders.set(revision, await download(id, { ...options, revision }));
  const before = contents(cache);
  await removeRevision(id, commit("step1"), options);
  checkCache(t, cache);
  const removed = Object.keys(before).filter((name) => !(name in contents(cache)));
  const [config, ...rest] = removed.filter((name) => !name.includes("/snapshots/"));
  t.match(config, /blobs\/[0-9a-f]{40}$/, "only the config of step1 has no other use");
  t.same(rest, ["models--org--name/refs/step1"]);
  t.same(await weightFiles(id, commit("main"), options), [file]);

  await removeRevision(id, commit("main"), options);
  await removeRevision(id, commit("main"), options);
  checkCache(t, cache);
  const left = Object.keys(contents(path.join(cache, "models--org--name"))).filter((name) => /refs|blobs/.test(name));
  t.same(
    left.filter((name) => name.startsWith("refs")),
    ["refs/step2"],
    "both refs of the commit are gone",
  );
  t.ok(left.includes(`blobs/${sha256(other["model.safetensors"])}`) && !left.includes(`blobs/${sha256(weights)}`));
  await removeRevision(id, commit("step2"), options);
  t.same(Object.keys(contents(path.join(cache, "models--org--name"))), []);
  await t.rejects(removeRevision(id, "main", options), { code: "INVALID_ARGUMENT" });
});

t.test("the variables of huggingface_hub", withPython, async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, "home"));
  await writeFile(path.join(folder, "home", "token"), "hf_home\n");
  await writeFile(path.join(folder, "other"), " hf_other ");
  const home = path.join(folder, "home");
  const environments: NodeJS.ProcessEnv[] = [
    { HOME: folder },
    { XDG_CACHE_HOME: home },
    { HF_HOME: home, XDG_CACHE_HOME: folder, HF_ENDPOINT: "http://127.0.0.1:9/" },
    { HF_HOME: "~/home", HOME: folder, HF_TOKEN_PATH: "$HOME/other", HF_HUB_CACHE: "$HOME/cache" },
    { HF_HOME: home, HF_TOKEN: " hf_given\n", HUGGINGFACE_HUB_CACHE: folder, HF_HUB_OFFLINE: "on" },
    { HF_HOME: home, HUGGING_FACE_HUB_TOKEN: "hf_old", TRANSFORMERS_OFFLINE: "1", HF_HUB_OFFLINE: "" },
  ];
  const { HF_HOME, HOME, XDG_CACHE_HOME } = process.env;
  t.teardown(() => Object.assign(process.env, { HF_HOME, HOME, XDG_CACHE_HOME }));
  for (const environment of environments) {
    for (const name of Object.keys(process.env))
      if (/^(HF|HUGGING|TRANSFORMERS|XDG)_/.test(name)) delete process.env[name];
    Object.assign(process.env, environment);
    const settings = await resolveSettings({});
    const expected = await hubOfPython<object>("settings", {});
    t.same({ ...settings, token: settings.token ?? null }, expected, JSON.stringify(Object.keys(environment)));
    for (const name of Object.keys(environment)) delete process.env[name];
  }
  process.env.HF_ENDPOINT = "hub";
  await t.rejects(resolveSettings({}), { code: "INVALID_ARGUMENT", message: /HF_ENDPOINT/ });
  await rm(folder, { recursive: true });
});
