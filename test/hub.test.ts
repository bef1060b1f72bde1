// Models by name, against a local server that behaves like the Hugging Face hub: what is downloaded, and when nothing is.
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type DownloadOptions, download, loadModel } from "attention-bypass";
import t, { type Test } from "tap";
import { finish, outcome, start } from "./support/command-line.ts";
import { proxy } from "./support/file-server.ts";
import { fixture, readExpected, readFloats, temporaryFolder } from "./support/fixtures.ts";
import { checkCache, checkpoint, contents, fetched, hubFor, id, sha256, writeFiles } from "./support/hub-cache.ts";
import { accepted, type Hub, type ServedModel, withoutAccess } from "./support/hub-server.ts";

t.setTimeout(120_000);
for (const name of Object.keys(process.env)) if (/^(HF|HUGGING|TRANSFORMERS)_/.test(name)) delete process.env[name];
// No token of this machine.
process.env.HF_HOME = await temporaryFolder(t);

const files = checkpoint();
const weights = files["model.safetensors"];

interface Place {
  hub: Hub;
  cache: string;
  options: DownloadOptions;
}

async function place(t: Test, model: Partial<ServedModel> = {}, content = files): Promise<Place> {
  const folder = await writeFiles(t, content);
  const hub = await hubFor(t, { models: { [id]: { revisions: { main: folder }, ...model } } });
  const cache = await temporaryFolder(t);
  return { hub, cache, options: { endpoint: hub.endpoint, cacheFolder: cache } };
}

const urls = ({ requests }: Hub) => requests.map(({ url }) => url);
const ofStorage = ({ requests }: Hub) => requests.filter(({ storage }) => storage);

async function offline<Value>(work: () => Promise<Value>): Promise<Value> {
  process.env.HF_HUB_OFFLINE = "1";
  return work().finally(() => delete process.env.HF_HUB_OFFLINE);
}

t.test("cold, then with no request but the revision's, then offline with none", async (t) => {
  const { hub, cache, options } = await place(t);
  const bytes: [number, number][] = [];
  const fractions: number[] = [];
  const folder = await download(id, {
    ...options,
    onBytes: (...counts) => bytes.push(counts),
    onProgress: (fraction) => fractions.push(fraction),
  });
  const commit = hub.commit(id, "main");
  t.equal(folder, path.join(cache, "models--org--name", "snapshots", commit));
  t.same(readdirSync(folder).sort(), fetched, "one form of weights, and nothing that is not needed");
  t.ok(readFileSync(path.join(folder, "model.safetensors")).equals(weights));
  checkCache(t, cache);
  const total = fetched.reduce((sum, name) => sum + files[name as keyof typeof files].length, 0);
  t.same(
    [bytes[0], bytes.at(-1)],
    [
      [0, total],
      [total, total],
    ],
  );
  t.equal(fractions.at(-1), 1);
  t.same(
    fractions,
    [...fractions].sort((one, other) => one - other),
  );

  hub.requests.length = 0;
  t.equal(await download(id, options), folder);
  t.same(urls(hub), ["/api/models/org/name/revision/main?blobs=true"]);

  hub.requests.length = 0;
  t.equal(await offline(() => download(id, options)), folder);
  t.equal(await offline(() => download(`${id}@${commit}`, options)), folder, "by commit");
  await t.rejects(
    offline(() => download(`${id}@other`, options)),
    { code: "MODEL_NOT_CACHED" },
  );
  await rm(path.join(folder, "model.safetensors"));
  await t.rejects(
    offline(() => download(id, options)),
    { code: "MODEL_NOT_CACHED", message: /not complete/ },
  );
  t.same(hub.requests, []);
});

t.test("only what is missing or damaged is downloaded again", async (t) => {
  const { hub, cache, options } = await place(t);
  const folder = await download(id, options);
  await rm(path.join(folder, "tokenizer.json"));
  await truncate(path.join(folder, "model.safetensors"), 1000);
  hub.requests.length = 0;
  await download(id, options);
  t.equal(ofStorage(hub).length, 1, "the weights, but not the tokenizer, whose blob is there");
  t.equal(hub.requests.length, 3);
  checkCache(t, cache);
});

t.test("a new commit of a branch keeps the blobs of the old one", async (t) => {
  const { cache, options } = await place(t);
  const before = await download(id, options);
  const { hub: changed } = await place(t, {}, { ...files, "config.json": '{ "model_type": "gpt2" }' });
  const after = await download(id, { ...options, endpoint: changed.endpoint });
  t.not(before, after);
  t.equal(ofStorage(changed).length, 0);
  checkCache(t, cache);
});

t.test("the form of weights", async (t) => {
  const { "model.safetensors": _, ...withoutSafetensors } = files;
  const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  const index = (names: string[]) =>
    JSON.stringify({ weight_map: Object.fromEntries(names.map((name) => [name, name])) });
  const sharded = { ...Object.fromEntries(shards.map((name) => [name, randomBytes(999)])), "other.safetensors": "x" };
  const cases: [content: object, weights: string[] | RegExp][] = [
    [withoutSafetensors, ["pytorch_model.bin"]],
    [
      { ...withoutSafetensors, ...sharded, "model.safetensors.index.json": index(shards) },
      [...shards, "model.safetensors.index.json"],
    ],
    [{ ...withoutSafetensors, ...sharded, "model.safetensors.index.json": index(["gone"]) }, /WEIGHTS_MISSING.*"gone"/],
    [
      { ...sharded, "model.safetensors.index.json": index(["../up"]), "config.json": "{}" },
      /WEIGHTS_INVALID.*"..\/up"/,
    ],
    [{ "config.json": "{}", "flax_model.msgpack": "x" }, /WEIGHTS_MISSING.*only "flax_model.msgpack"/],
    [{ "model.safetensors": "x" }, /CONFIG_MISSING/],
  ];
  for (const [content, expected] of cases) {
    const { options } = await place(t, {}, content as typeof files);
    const done = await download(id, options).then(
      (folder) => readdirSync(folder).filter((name) => !fetched.includes(name) || name === "model.safetensors"),
      ({ code, message }) => `${code} ${message}`,
    );
    if (expected instanceof RegExp) t.match(done, expected);
    else t.same((done as string[]).sort(), expected);
  }
});

t.test("broken connections, and servers that are busy or ignore ranges", async (t) => {
  const { hub, cache, options } = await place(t);
  let cuts = 0;
  hub.intercept = ({ storage, range }, response) => {
    if (!storage || cuts === 3) return false;
    cuts++;
    const from = Number(/\d+/.exec(range ?? "0"));
    response.writeHead(from > 0 ? 206 : 200, {
      "content-length": weights.length - from,
      "content-range": `bytes ${from}-${weights.length - 1}/${weights.length}`,
    });
    response.write(weights.subarray(from, from + 70_000), () => response.destroy());
    return true;
  };
  await download(id, options);
  t.match(
    ofStorage(hub).map(({ range }) => range),
    [undefined, /^bytes=\d+-$/, /^bytes=\d+-$/, /^bytes=\d+-$/],
  );
  t.ok(hub.sent < weights.length - 60_000, "the rest only");
  checkCache(t, cache);

  await rm(cache, { recursive: true });
  cuts = 0;
  hub.intercept = ({ storage }, response) => {
    if (!storage || cuts++ === 2) return false;
    response.writeHead(200, { "content-length": weights.length });
    response.write(weights.subarray(0, 100_000), () => response.destroy());
    return true;
  };
  await download(id, options);
  checkCache(t, cache);

  await rm(cache, { recursive: true });
  const times: number[] = [];
  hub.intercept = ({ url }, response) => {
    if (!url.startsWith("/api/") || times.push(performance.now()) > 2) return false;
    response.writeHead(times.length === 1 ? 429 : 503, { "retry-after": times.length === 1 ? "1" : "" }).end();
    return true;
  };
  await download(id, options);
  t.ok((times[1] as number) - (times[0] as number) >= 990, "waits as long as the hub asks");

  hub.intercept = (_, response) => {
    response.writeHead(429, { "retry-after": "3600" }).end();
    return true;
  };
  await t.rejects(download(id, options), { code: "DOWNLOAD_FAILED", message: /429 and asks to wait 60 minutes/ });
});

t.test("a wrong hash is refused, and its data removed", async (t) => {
  const { hub, cache, options } = await place(t);
  for (const name of ["tokenizer.json", "model.safetensors"] as const) {
    hub.intercept = ({ storage, url }, response) => {
      if (name === "model.safetensors" ? !storage : !url.endsWith(name)) return false;
      response.end(Buffer.alloc(files[name].length, 7));
      return true;
    };
    await t.rejects(download(id, options), { code: "CHECKSUM_MISMATCH" });
    const left = contents(cache);
    t.notOk(
      Object.keys(left).some((entry) => /incomplete|refs/.test(entry) || entry.endsWith(name)),
      "nothing is left",
    );
    checkCache(t, cache);
  }
  hub.intercept = undefined;
  await download(id, options);
  checkCache(t, cache);
});

t.test("incomplete files of an earlier download, right and wrong", async (t) => {
  const { hub, cache, options } = await place(t);
  const blobs = path.join(cache, "models--org--name", "blobs");
  await mkdir(blobs, { recursive: true });
  const part = (name: string) => path.join(blobs, `${sha256(weights)}.${name}`);
  await writeFile(part("00000001.node.incomplete"), weights.subarray(0, 200_000));
  await writeFile(part("00000002.node.incomplete"), weights.subarray(0, 10));
  await writeFile(part("0000000a.incomplete"), "of a running Python");
  await download(id, options);
  t.equal(ofStorage(hub)[0]?.range, "bytes=200000-");
  t.same(
    readdirSync(blobs).filter((name) => name.includes(".")),
    [path.basename(part("0000000a.incomplete"))],
  );
  await rm(part("0000000a.incomplete"));

  for (const content of [randomBytes(200_000), randomBytes(weights.length), randomBytes(weights.length + 1)]) {
    await rm(path.join(cache, "models--org--name", "snapshots"), { recursive: true });
    await rm(path.join(blobs, sha256(weights)));
    await writeFile(part("00000003.node.incomplete"), content);
    await download(id, options);
    checkCache(t, cache);
  }
});

t.test("the token goes to the hub only", async (t) => {
  const { hub, options } = await place(t, { gated: true });
  await download(id, { ...options, token: accepted });
  t.ok(
    hub.requests.filter(({ storage }) => !storage).every(({ authorization }) => authorization === `Bearer ${accepted}`),
  );
  t.same(
    ofStorage(hub).map(({ authorization }) => authorization),
    [undefined],
  );
});

t.test("why a model can't be read", async (t) => {
  const { options } = await place(t, { gated: true });
  const { options: hidden } = await place(t, { private: true });
  const closed = await hubFor(t, { models: {} });
  await closed.close();
  const cases: [DownloadOptions, name: string, code: string, message: RegExp][] = [
    [options, "org/other", "MODEL_NOT_FOUND", /org\/other.*HF_TOKEN/],
    [{ ...options, token: accepted }, "org/other", "MODEL_NOT_FOUND", /org\/other/],
    [{ ...options, revision: "step9" }, id, "REVISION_NOT_FOUND", /step9/],
    [options, id, "HUB_TOKEN_MISSING", /gated.*request access.*HF_TOKEN/],
    [{ ...options, token: withoutAccess }, id, "MODEL_GATED", /request it in http/],
    [{ ...options, token: "hf_made-up" }, id, "HUB_TOKEN_REFUSED", /settings\/tokens/],
    [hidden, id, "MODEL_NOT_FOUND", /private/],
    [{ ...hidden, token: withoutAccess }, id, "MODEL_NOT_FOUND", /org\/name/],
    [{ ...options, endpoint: closed.endpoint }, id, "DOWNLOAD_FAILED", /ECONNREFUSED/],
  ];
  for (const [options, name, code, message] of cases) {
    await t.rejects(download(name, options), { code, message }, `${name} ${code}`);
  }
  await download(id, { ...hidden, token: accepted });
});

t.test("names, revisions and options", async (t) => {
  const { hub, cache, options } = await place(t, { tags: { "v1.0/rc": await writeFiles(t, checkpoint(10)) } });
  t.equal(await download(`${id}@v1.0/rc`, options), await download(id, { ...options, revision: "v1.0/rc" }));
  t.equal(readFileSync(path.join(cache, "models--org--name/refs/v1.0/rc"), "utf8"), hub.commit(id, "v1.0/rc"));
  hub.requests.length = 0;
  const wrong: [id: unknown, options: object][] = [
    ["name", options],
    ["org/name/more", options],
    ["org/--name", options],
    ["../name", options],
    ["org/..", options],
    ["org/na\0me", options],
    [undefined, options],
    [id, { ...options, revision: "../../up" }],
    [id, { ...options, revision: "a\0b" }],
    [id, { ...options, revision: "" }],
    [`${id}@one`, { ...options, revision: "two" }],
    [id, { ...options, endpoint: "file:///etc" }],
    [id, { ...options, token: "a\nb" }],
    [id, { ...options, cacheFolder: "" }],
    [id, { ...options, onBytes: 1 }],
    [id, { ...options, other: 1 }],
  ];
  for (const [name, options] of wrong) {
    await t.rejects(download(name as string, options), { code: "INVALID_ARGUMENT" }, JSON.stringify([name, options]));
  }
  t.same(hub.requests, []);
});

t.test("a model by name has the logits of the model by path", async (t) => {
  const model = "neox-sharded";
  const hub = await hubFor(t, { models: { [id]: { revisions: { main: fixture("gpt2"), step1: fixture(model) } } } });
  const options = { endpoint: hub.endpoint, cacheFolder: await temporaryFolder(t), device: "cpu", threads: 1 } as const;
  const { input_ids } = readExpected(fixture(model));
  const expected = readFloats(path.join(fixture(model), "logits.base.f32"));
  const fractions: number[] = [];
  await using byName = await loadModel(`${id}@step1`, { ...options, onProgress: (one) => void fractions.push(one) });
  const { data } = await byName.logits(input_ids);
  const largest = expected.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
  t.ok(data.every((one, at) => Math.abs(one - (expected[at] as number)) <= 2e-4 * largest));
  await using byPath = await loadModel(fixture(model), { device: "cpu", threads: 1 });
  t.same((await byPath.logits(input_ids)).data, data);
  t.equal(fractions.at(-1), 1);
  t.ok(fractions.some((one) => one > 0 && one <= 0.9));

  await t.rejects(loadModel(fixture(model), { revision: "step1" }), { code: "INVALID_ARGUMENT", message: /revision/ });
  await t.rejects(loadModel("nowhere", options), { code: "FILE_NOT_FOUND", message: /org\/name/ });
  await t.rejects(loadModel("./no/where", options), { code: "FILE_NOT_FOUND" });
  await t.rejects(loadModel("no/where", options), { code: "MODEL_NOT_FOUND", message: /no file or folder no\/where/ });
});

t.test("an existing path wins", async (t) => {
  const hub = await hubFor(t, { models: { [id]: { revisions: { main: fixture("gpt2") } } } });
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, "org"));
  await symlink(fixture("neox-serial"), path.join(folder, id));
  const before = process.cwd();
  process.chdir(folder);
  t.teardown(() => process.chdir(before));
  await using model = await loadModel(id, { device: "cpu", threads: 1, endpoint: hub.endpoint });
  t.equal(model.config.family, "gpt-neox");
  t.same(hub.requests, []);
});

t.test("a snapshot whose blobs are links into the shared store of the cache", async (t) => {
  const { cache, options } = await place(t);
  const folder = await download(id, options);
  const blob = path.join(cache, "models--org--name", "blobs", sha256(weights));
  const shared = path.join(cache, "blobs", "ab", "ab".repeat(32));
  await mkdir(path.dirname(shared), { recursive: true });
  await rename(blob, shared);
  await symlink(path.relative(path.dirname(blob), shared), blob);
  t.equal(await offline(() => download(id, options)), folder);
  t.ok(readFileSync(path.join(folder, "model.safetensors")).equals(weights));
});

t.test("aborts, and errors of callbacks", async (t) => {
  const { hub, cache, options } = await place(t);
  hub.pace = 1_000_000;
  const reason = new Error("enough");
  const stop = new AbortController();
  const onBytes = (done: number) => done > 100_000 && stop.abort(reason);
  t.equal(await download(id, { ...options, signal: stop.signal, onBytes }).catch((error) => error), reason);
  checkCache(t, cache);
  const fails = (done: number) => {
    if (done > 200_000) throw reason;
  };
  t.equal(await download(id, { ...options, onBytes: fails }).catch((error) => error), reason);
  const rejects = async () => Promise.reject(reason);
  t.equal(await download(id, { ...options, onProgress: rejects }).catch((error) => error), reason);
  await download(id, options);
  t.ok(hub.sent < 1.5 * weights.length, "each continues where the one before ended");
  checkCache(t, cache);
  await t.rejects(download(id, { ...options, signal: AbortSignal.abort(reason) }), reason);
});

const environment = (hub: Hub, cache: string) => ({ HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache });

/** Waits until a part of the weights is in the cache. */
async function untilBegun(cache: string): Promise<void> {
  const begun = ([name, size]: [string, string | number]) => name.endsWith("incomplete") && Number(size) > 100_000;
  while (!Object.entries(contents(path.join(cache, "models--org--name", "blobs"))).some(begun)) await sleep(10);
}

t.test("killed at random moments, and two processes at once", async (t) => {
  const content = checkpoint(2_000_000);
  const { hub, cache } = await place(t, {}, content);
  hub.pace = 2_000_000;
  let kills = 0;
  for (let run = 0; run < 12; run++) {
    const child = start(["download", id, "--json"], environment(hub, cache));
    const kill = () => child.kill("SIGKILL");
    if (run === 0) void untilBegun(cache).then(kill);
    // Within the second that the download takes, from its first request on.
    const wait = Math.random() * 700;
    hub.intercept = () => {
      if (run > 0 && run < 6) setTimeout(kill, wait);
      hub.intercept = undefined;
      return false;
    };
    const { exitCode, errors } = await finish(child);
    checkCache(t, cache);
    if (exitCode === 0) break;
    t.equal(errors, "");
    kills++;
  }
  t.comment(`${kills} kills`);
  t.ok(kills > 0);
  const starts = ofStorage(hub).map(({ range }) => Number(/\d+/.exec(range ?? "0")));
  t.ok((starts[1] as number) > 0, "resumed");
  t.same(
    starts,
    starts.toSorted((one, other) => one - other),
    "what was received is not downloaded again",
  );
  const folder = path.join(cache, "models--org--name", "snapshots", hub.commit(id, "main"));
  t.ok(readFileSync(path.join(folder, "model.safetensors")).equals(content["model.safetensors"]));
  t.notOk(Object.keys(contents(cache)).some((name) => name.includes("incomplete")));

  await rm(cache, { recursive: true });
  hub.requests.length = 0;
  const both = [0, 1].map(() => outcome(start(["download", id], environment(hub, cache))));
  for (const ended of await Promise.all(both)) t.match(ended, { exitCode: 0, output: `${folder}\n`, errors: "" });
  t.equal(ofStorage(hub).length, 1, "the second waits for the first");
  checkCache(t, cache);
});

t.test("the command line", async (t) => {
  const model = "neox-serial";
  const hub = await hubFor(t, { models: { [id]: { revisions: { main: fixture("gpt2"), step1: fixture(model) } } } });
  const cache = await temporaryFolder(t);
  const way = await proxy(t);
  const call = (...args: string[]) =>
    outcome(
      start(args, { ...environment(hub, cache), HTTP_PROXY: way.url, http_proxy: way.url, NO_PROXY: "", no_proxy: "" }),
    );
  const folder = path.join(cache, "models--org--name", "snapshots", hub.commit(id, "step1"));
  const { output } = await call("download", id, "--revision", "step1", "--json");
  t.same(JSON.parse(output), { id, revision: "step1", folder });
  t.ok(way.tunnels > 0);
  const tokens = ["--device", "cpu", "--tokens", "1,2,3,4", "--json"];
  t.same(await call("perplexity", `${id}@step1`, ...tokens), await call("perplexity", fixture(model), ...tokens));
  const archive = path.join(cache, "model.pt");
  t.match(await call("convert", id, archive, "--revision", "step1", "--json"), { exitCode: 0, errors: "" });
  t.ok(existsSync(archive));
  const failed = await call("generate", id, "--tokens", "1", "--revision", "step2", "--json");
  t.match(failed, { exitCode: 3, errors: /"code":"REVISION_NOT_FOUND"/ });
  t.match(await call("download", "nowhere"), { exitCode: 2, errors: /\[INVALID_ARGUMENT\]/ });
});
