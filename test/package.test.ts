// The package as npm packs it, installed into an empty folder without scripts and used with no compiler on PATH: the
// README's first program, the examples, the notebook, and libtorch from each place.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { readFileSync, statSync, symlinkSync } from "node:fs";
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import t, { type Test } from "tap";
import { plainly, root } from "./support/child.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { canExecuteNotebooks, noJupyter, readCells } from "./support/notebook.ts";
import { pack } from "./support/pack.ts";
import { noPython, python } from "./support/python.ts";
import { firstProgramOf } from "./support/snippets.ts";

t.setTimeout(1_200_000);
const run = promisify(execFile);
const folder = await temporaryFolder(t);
const at = (...names: string[]) => path.join(folder, ...names);

/** What a PATH has that holds Node and nothing to compile with. */
await mkdir(at("bin"));
for (const [name, target] of Object.entries({
  node: process.execPath,
  sh: "/bin/sh",
  env: (await run("which", ["env"])).stdout.trim(),
  npm: (await run("which", ["npm"])).stdout.trim(),
  python3: (await run("which", ["python3"])).stdout.trim(),
})) {
  symlinkSync(target, at("bin", name));
}
/** Threads of several processes on few cores wait for each other. */
const environment = { ...process.env, PATH: at("bin"), OMP_NUM_THREADS: "1" };

const packed = await pack(folder);
await writeFile(at("package.json"), '{ "name": "somebody", "private": true }');
await run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", at(packed.filename)], {
  cwd: folder,
  env: environment,
});

/** Runs a program of the folder that the package is installed in. */
async function runHere(file: string, args: readonly string[] = [], own: NodeJS.ProcessEnv = {}) {
  return run("env", plainly(process.execPath, ...args, file), { cwd: folder, env: { ...environment, ...own } });
}

async function example(name: string): Promise<string> {
  await copyFile(path.join(root, "examples", name), at(path.basename(name)));
  return at(path.basename(name));
}

const firstProgram = firstProgramOf(readFileSync(path.join(root, "README.md"), "utf8"));

t.test("what is packed", async (t) => {
  const names = packed.files.map(({ path }) => path);
  const models = packed.files.filter(({ path }) => path.startsWith("models/"));
  const without = packed.size - models.reduce((sum, { size }) => sum + size, 0);
  // The models hardly compress, so that this is more than the rest takes.
  t.ok(without < 5e6, `${without} bytes beside the models`);
  for (const name of [
    ...[
      "dist/index.js",
      "dist/index.cjs",
      "dist/index.d.ts",
      "dist/index.d.cts",
      "dist/cli.js",
      "LICENSE",
      "README.md",
    ],
    ...["native/torch-2.13/prebuilds/linux-x64/attention-bypass.glibc.node"],
    ...["native/preload/prebuilds/linux-x64/preload.glibc.node"],
    ...[
      "native/licenses/libtorch.txt",
      "docs/errors.md",
      "models/gpt-neox/config.json",
      "models/measures/records.jsonl",
      "tasks/piqa.json",
      "src/model/model.cpp",
    ],
  ]) {
    t.ok(names.includes(name), name);
  }
  t.same(
    names.filter((name) => /^(test|bench|shared)\/|\.test\.|build\/Release|\.log$/.test(name)),
    [],
  );
  const manifest = JSON.parse(readFileSync(at("node_modules", "attention-bypass", "package.json"), "utf8"));
  t.same(
    ["install", "preinstall", "postinstall"].filter((name) => manifest.scripts?.[name]),
    [],
  );
  t.ok(statSync(at("node_modules", "attention-bypass", "native", "torch-2.13", "prebuilds")).isDirectory());
});

t.test("the README's first program", async (t) => {
  await writeFile(at("first.mjs"), firstProgram);
  const { stdout, stderr } = await runHere(at("first.mjs"));
  t.match(stdout, /^[\s\S]+\n[\s\S]*\n?0\.\d+ 0\.\d+\n$/);
  t.equal(stderr, "");
});

t.test("as an ES module, in CommonJS, in a worker", async (t) => {
  const { stdout } = await runHere(await example("esm.mjs"));
  t.match(stdout, /^share of secrets completed: 0\.\d\d, with the last quarter bypassed 0\.\d\d\n$/);
  t.match((await runHere(await example("commonjs.cjs"))).stdout, /^ \w.*\n/);
  t.match((await runHere(await example("worker.mjs"))).stdout, /^from the worker: .+\n/);
});

t.test("in TypeScript, as strict as can be, by both ways of resolving", async (t) => {
  const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc");
  const types = ["--typeRoots", path.join(root, "node_modules", "@types"), "--types", "node"];
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--target", "es2022"];
  const file = await example("typescript/sweep.ts");
  for (const resolution of [
    ["--module", "nodenext"],
    ["--module", "commonjs", "--moduleResolution", "node10", "--esModuleInterop"],
  ]) {
    await run("env", plainly(process.execPath, tsc, ...strict, ...types, ...resolution, file), { cwd: folder });
    t.match((await runHere(at("sweep.js"))).stdout, /^(block|quartile) \d: 0\.\d\d left\n$/, resolution.join(" "));
  }
});

t.test("the notebook, in Jupyter", { skip: !canExecuteNotebooks() && noJupyter }, async (t) => {
  const source = path.join(root, "examples", "notebook.ipynb");
  t.ok(
    readCells(source).every(({ shown, stdout, errors }) => shown.length === 0 && stdout === "" && errors.length === 0),
    "it is committed without outputs",
  );
  const executed = at("executed.ipynb");
  const script = path.join(root, "scripts", "notebook.mjs");
  const command = plainly(process.execPath, script, source, "--output", executed, "--folder", folder);
  await run("env", command, { cwd: folder, env: environment, maxBuffer: 2 ** 26 });
  const cells = readCells(executed);
  for (const { id, errors } of cells) t.same(errors, [], id);
  const cell = (id: string) => cells.find((one) => one.id === id);
  t.match(cell("load")?.stdout, /^Model \{ gpt-neox, 8 blocks, .*\}\n$/);
  t.match(cell("stream")?.stdout, /^(Why was it that \w[^\n]+\n\n){3}$/);
  t.match(cell("secrets")?.stdout, /^plain: exact match [01]\.\d\d.*\nbypassed: exact match 0\.\d\d/);
  t.match(cell("sweep")?.stdout, /^\d0 % .*100 % /);
  const figures = (id: string) =>
    cell(id)?.shown.filter(([type, text]) => type === "image/svg+xml" && /^<svg/.test(text));
  t.equal(figures("figure")?.length, 1);
  t.ok((figures("report")?.length ?? 0) > 2);
  t.ok(cell("report")?.shown.some(([type, text]) => type === "text/html" && text.includes("<table>")));
  t.match(cell("recommend")?.stdout, /^(block|quartile) \d: exact match 0\.\d\d instead of [01]\.\d\d\n/);
  t.match(cell("abort")?.stdout, /^The sweep was stopped: .*timeout\nThe old \w/);
  t.match(cell("dispose")?.stdout, /disposed of/);
});

t.test("libtorch from setup, from Python, and from nowhere", async (t) => {
  const cli = at("node_modules", "attention-bypass", "dist", "cli.js");
  const cache = { ATTENTION_BYPASS_CACHE: at("cache"), ATTENTION_BYPASS_PYTHON: at("no-python") };
  const missing = await runHere(at("esm.mjs"), [], cache).catch((error: Error) => error.message);
  t.match(missing, "LIBTORCH_NOT_FOUND");
  t.match(missing, "npx attention-bypass setup");

  const pip = { ...cache, ATTENTION_BYPASS_PYTHON: "python3", PATH: process.env.PATH };
  await run(process.execPath, [cli, "setup", "--from", "pip", "--yes"], { env: { ...environment, ...pip } });
  t.match((await runHere(at("esm.mjs"), [], cache)).stdout, /^share of secrets completed/);

  const interpreter = python();
  if (interpreter === undefined) return t.pass(noPython);
  const own = { ATTENTION_BYPASS_CACHE: at("empty"), ATTENTION_BYPASS_PYTHON: interpreter };
  t.match((await runHere(at("esm.mjs"), [], own)).stdout, /^share of secrets completed/);
  const { stdout } = await run(process.execPath, [cli, "doctor", "--json"], { env: { ...environment, ...own } });
  t.equal(JSON.parse(stdout).libtorch.origin, "python");
});

/** The example's server, on a port of its own. */
async function startServer(t: Test): Promise<{ child: ChildProcess; url: string; ended: Promise<string> }> {
  const file = await example("http-server.mjs");
  const child = spawn("env", plainly(process.execPath, file), { cwd: folder, env: { ...environment, PORT: "0" } });
  t.teardown(() => child.kill("SIGKILL"));
  let said = "";
  const ended = new Promise<string>((resolve) => child.once("close", (code) => resolve(`${said}${code}`)));
  const url = await new Promise<string>((resolve) => {
    child.stdout.on("data", (text) => {
      said += text;
      const address = /http:\S+/.exec(said)?.[0];
      if (address) resolve(address);
    });
  });
  return { child, url, ended };
}

const ask = (url: string, body: object, signal?: AbortSignal) =>
  fetch(`${url}/generate`, { method: "POST", body: JSON.stringify(body), ...(signal && { signal }) });
const lines = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { token: number; text: string });
const atWork = async (url: string) => ((await (await fetch(`${url}/health`)).json()) as { atWork: number }).atWork;

/** How long many clients stream at once. */
const seconds = process.env.CI === "true" ? 20 : 5;

t.test("the HTTP server streams to many, minds who leaves, and drains", async (t) => {
  const { child, url, ended } = await startServer(t);
  const request = { prompt: "Why was it that", maxNewTokens: 24 };
  const alone = lines(await (await ask(url, request)).text());
  t.equal(alone.length, 24);
  const together = await Promise.all(
    Array.from({ length: 32 }, async () => lines(await (await ask(url, request)).text())),
  );
  for (const answer of together) t.same(answer, alone, "what it says alone");
  const bypassed = lines(await (await ask(url, { ...request, bypass: { blocks: { quartile: 1 } } })).text());
  t.notSame(bypassed, alone);

  const leaving = new AbortController();
  const response = await ask(url, { prompt: "The", maxNewTokens: 200, stopAtEndOfText: false }, leaving.signal);
  await response.body?.getReader().read();
  t.equal(await atWork(url), 1);
  leaving.abort();
  for (let turn = 0; turn < 100 && (await atWork(url)) > 0; turn++) await sleep(50);
  t.equal(await atWork(url), 0, "nobody works for who has left");

  const until = performance.now() + seconds * 1000;
  const counts = { answers: 0, wrong: 0, left: 0, mostAtOnce: 0 };
  const asks = [
    { body: request, expected: alone },
    { body: { ...request, bypass: { blocks: { quartile: 1 } } }, expected: bypassed },
  ];
  const client = async (number: number): Promise<void> => {
    const { body, expected } = asks[number % 2] as (typeof asks)[number];
    // Some rounds even where the machine is slow.
    for (let turn = number; turn < number + 3 || performance.now() < until; turn++) {
      const leave = new AbortController();
      const response = await ask(url, body, leave.signal);
      if (turn % 5 === 0) {
        await response.body?.getReader().read();
        leave.abort();
        counts.left++;
      } else if (JSON.stringify(lines(await response.text())) === JSON.stringify(expected)) counts.answers++;
      else counts.wrong++;
    }
  };
  const watch = async (): Promise<void> => {
    while (counts.mostAtOnce < 32 || performance.now() < until) {
      counts.mostAtOnce = Math.max(counts.mostAtOnce, await atWork(url));
      await sleep(100);
    }
  };
  await Promise.all([...Array.from({ length: 32 }, (_, number) => client(number)), watch()]);
  t.comment(`${seconds} s of 32 clients: ${JSON.stringify(counts)}`);
  t.equal(counts.wrong, 0, "each has its own bypass's answer");
  t.ok(counts.answers > 32 && counts.left > 0 && counts.mostAtOnce >= 32, "all are served at once");
  for (let turn = 0; turn < 100 && (await atWork(url)) > 0; turn++) await sleep(50);
  t.equal(await atWork(url), 0);

  for (const [body, code] of [
    [{ prompt: 5 }, "INVALID_ARGUMENT"],
    [{ prompt: "The", bypass: { blocks: [9] } }, "BLOCK_OUT_OF_RANGE"],
    [{ prompt: "The", maxNewTokens: 1e6 }, "CONTEXT_TOO_LONG"],
  ] as const) {
    const refused = await ask(url, body);
    t.equal(refused.status, 400);
    t.match(await refused.json(), { error: { code } });
  }

  const post = (body: string) => fetch(`${url}/generate`, { method: "POST", body });
  for (const body of [
    "null",
    "5",
    '"text"',
    "[]",
    "",
    "{",
    "\0",
    '{"prompt":null}',
    '{"prompt":"The","signal":5,"x":1}',
  ]) {
    const refused = await post(body);
    t.equal(refused.status, 400, body);
    t.match(await refused.json(), { error: { code: /^(INVALID_JSON|INVALID_ARGUMENT)$/ } }, body);
  }
  const long = await post(JSON.stringify({ prompt: "a".repeat(1 << 20) }));
  t.equal(long.status, 413);
  t.match(await long.json(), { error: { code: "BODY_TOO_LARGE" } });
  t.equal((await ask(url, request)).status, 200, "the server lives");

  const last = await ask(url, { prompt: "The", maxNewTokens: 150, stopAtEndOfText: false });
  child.kill("SIGTERM");
  t.equal(lines(await last.text()).length, 150, "who is at work finishes");
  t.match(await ended, /drained\n0$/);
});

t.test("an addon that is spoilt, or missing", async (t) => {
  const folder = at("node_modules", "attention-bypass", "native", "torch-2.13", "prebuilds", "linux-x64");
  const addon = path.join(folder, "attention-bypass.glibc.node");
  const refusal = () => runHere(at("esm.mjs")).then(String, (error: Error) => error.message);
  await writeFile(addon, "no addon at all, and yet longer than the header of one is: 64 bytes");
  t.match(await refusal(), /does not load: .*(file too short|invalid ELF header|cannot read file data).*damaged/);
  t.match(await refusal(), "ADDON_LOAD_FAILED");
  await rm(addon);
  t.match(await refusal(), /expected the addon for libtorch 2\.13 .* but found none/);
  t.match(await refusal(), "ADDON_NOT_FOUND");
});
