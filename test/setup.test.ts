// `attention-bypass setup` against a server of the test's own: whatever happens to it, what is in the cache at the end is
// whole and right, or nothing.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { mkdir, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { ZipFile } from "yazl";
import { plainly, root } from "./support/child.ts";
import { type Manner, proxy, serve } from "./support/file-server.ts";
import { temporaryFolder } from "./support/fixtures.ts";

t.setTimeout(600_000);
const name = "torch-2.13.0+cpu-cp311-cp311-own.whl";
const library = randomBytes(3_000_000);

async function zip(files: Record<string, Buffer | string>): Promise<Buffer> {
  const archive = new ZipFile();
  for (const [name, content] of Object.entries(files)) archive.addBuffer(Buffer.from(content), name);
  archive.end();
  return Buffer.concat(await (archive.outputStream as Readable).toArray());
}

const wheel = await zip({
  "torch/version.py": "__version__ = '2.13.0+cpu'\n",
  "torch/lib/libtorch_cpu.so": library,
  "torch/lib/libc10.so": "c10",
  "torch/include/ATen/ATen.h": "#pragma once\n",
  "torch/nn/modules.py": "pass\n",
  "torchgen/model.py": "pass\n",
  "torch-2.13.0+cpu.dist-info/licenses/LICENSE": "as is\n",
});
const sha256 = (content: Buffer) => createHash("sha256").update(content).digest("hex");

interface Ended {
  exitCode: number | null;
  output: string;
  errors: string;
}

/** A setup under way, with a cache of its own. */
function begin(cache: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const child = spawn("env", plainly(process.execPath, path.join(root, "dist", "cli.js"), "setup", ...args), {
    env: { ...process.env, ATTENTION_BYPASS_CACHE: cache, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<Ended>((resolve) => {
    let output = "";
    let errors = "";
    child.stdout.on("data", (text) => {
      output += text;
    });
    child.stderr.on("data", (text) => {
      errors += text;
    });
    child.on("close", (exitCode) => resolve({ exitCode, output, errors }));
  });
  return { child: child as ChildProcess, ended };
}

const torch = (cache: string, ...names: string[]) => path.join(cache, "libtorch-2.13.0", "torch", ...names);

function isWhole(t: Test, cache: string) {
  t.ok(readFileSync(torch(cache, "lib", "libtorch_cpu.so")).equals(library), "the library as it was packed");
  t.same(readdirSync(torch(cache)).sort(), ["include", "lib", "licenses", "version.py"]);
  t.same(readdirSync(cache), ["libtorch-2.13.0"], "nothing else is left");
}

async function bring(t: Test, manner: Manner, environment?: NodeJS.ProcessEnv) {
  const cache = await temporaryFolder(t);
  const server = await serve(t, wheel, name, manner);
  const ended = await begin(cache, ["--yes", "--from", server.url, "--sha256", sha256(wheel)], environment).ended;
  return { cache, server, ended };
}

t.test("brings libtorch, and finds it the next time", async (t) => {
  const { cache, server, ended } = await bring(t, {});
  t.match(ended, { exitCode: 0, errors: "", output: `libtorch 2.13.0+cpu is ready in ${torch(cache)}\n` });
  isWhole(t, cache);
  const again = await begin(cache, ["--json"]).ended;
  t.same(JSON.parse(again.output), { folder: torch(cache), version: "2.13.0+cpu" });
  t.equal(server.requests, 1);
});

t.test("goes on where the connection breaks", async (t) => {
  const { cache, server, ended } = await bring(t, { cutAfter: 700_000 });
  t.equal(ended.exitCode, 0, ended.errors);
  isWhole(t, cache);
  t.ok(server.requests >= 4);
  t.ok(server.given < 1.2 * wheel.length, "nothing is asked for twice");
});

t.test("from servers that fail at first, or can't go on in the middle", async (t) => {
  for (const manner of [{ errors: 3 }, { ranges: false }]) {
    const { cache, ended } = await bring(t, manner);
    t.equal(ended.exitCode, 0, ended.errors);
    isWhole(t, cache);
  }
});

t.test("through a proxy", async (t) => {
  const way = await proxy(t);
  const { cache, ended } = await bring(t, {}, { HTTP_PROXY: way.url, http_proxy: way.url, NO_PROXY: "", no_proxy: "" });
  t.equal(ended.exitCode, 0, ended.errors);
  isWhole(t, cache);
  t.equal(way.tunnels, 1);
});

t.test("two at once: one works, the other waits", async (t) => {
  const cache = await temporaryFolder(t);
  const server = await serve(t, wheel, name, { pace: 3_000_000 });
  const args = ["--yes", "--from", server.url, "--sha256", sha256(wheel)];
  const both = await Promise.all([begin(cache, args).ended, begin(cache, args).ended]);
  for (const { exitCode, errors } of both) t.equal(exitCode, 0, errors);
  t.equal(both.filter(({ errors }) => /Another setup is running/.test(errors)).length, 1);
  t.equal(server.requests, 1);
  isWhole(t, cache);
});

t.test("killed at random moments, it ends whole", async (t) => {
  const cache = await temporaryFolder(t);
  const server = await serve(t, wheel, name, { pace: 4_000_000 });
  const args = ["--yes", "--from", server.url, "--sha256", sha256(wheel)];
  for (let turn = 0; turn < 6; turn++) {
    const { child, ended } = begin(cache, args);
    const before = server.requests;
    while (server.requests === before && child.exitCode === null) await sleep(20);
    // It takes about a second to download, and then it is unpacked.
    await sleep(Math.random() * 1100);
    child.kill("SIGKILL");
    await ended;
    if (existsSync(torch(cache))) break;
  }
  const last = await begin(cache, args).ended;
  t.equal(last.exitCode, 0, last.errors);
  // A process that is killed after its last step leaves its lock, which expires.
  rmSync(path.join(cache, "libtorch-2.13.0.lock"), { recursive: true, force: true });
  isWhole(t, cache);
});

t.test("interrupted, it says so and leaves what it has", async (t) => {
  const cache = await temporaryFolder(t);
  const server = await serve(t, wheel, name, { pace: 1_000_000 });
  const args = ["--yes", "--from", server.url, "--sha256", sha256(wheel)];
  const { child, ended } = begin(cache, args);
  while (server.given < 500_000) await sleep(20);
  child.kill("SIGINT");
  t.match(await ended, { exitCode: 130, output: "", errors: "" });
  t.same(readdirSync(cache), ["downloads"]);
  const again = await begin(cache, args).ended;
  t.equal(again.exitCode, 0, again.errors);
  t.ok(server.given < 1.3 * wheel.length, "it goes on");
  isWhole(t, cache);
});

t.test("what an earlier download of another file left is not taken", async (t) => {
  const cache = await temporaryFolder(t);
  const server = await serve(t, wheel, name);
  await mkdir(path.join(cache, "downloads"));
  await writeFile(path.join(cache, "downloads", `${sha256(wheel).slice(0, 16)}-${name}.part`), randomBytes(1_000_000));
  const { exitCode, errors } = await begin(cache, ["--yes", "--from", server.url, "--sha256", sha256(wheel)]).ended;
  t.equal(exitCode, 0, errors);
  isWhole(t, cache);
});

t.test("from a file, and from a folder", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, name);
  await writeFile(file, wheel);
  const first = path.join(folder, "first");
  const second = path.join(folder, "second");
  const ended = await begin(first, ["--from", file, "--sha256", sha256(wheel).toUpperCase()]).ended;
  t.equal(ended.exitCode, 0, ended.errors);
  isWhole(t, first);
  t.equal((await begin(second, ["--from", torch(first)]).ended).exitCode, 0);
  isWhole(t, second);
  const libtorch = await zip({ "libtorch/build-version": "2.13.0+cpu", "libtorch/lib/libtorch_cpu.so": library });
  await writeFile(path.join(folder, "libtorch.zip"), libtorch);
  const third = path.join(folder, "third");
  t.equal((await begin(third, ["--from", path.join(folder, "libtorch.zip")]).ended).exitCode, 0);
  t.ok(existsSync(torch(third, "lib", "libtorch_cpu.so")));
});

/** A package that pip installs, of the files in it. */
async function pipWheel(folder: string, name: string, version: string, files: Record<string, string>, needs = "") {
  const info = `${name.replaceAll("-", "_")}-${version}.dist-info`;
  const metadata = `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n${needs && `Requires-Dist: ${needs}\n`}`;
  const content = await zip({
    ...files,
    [`${info}/METADATA`]: metadata,
    [`${info}/WHEEL`]: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    [`${info}/RECORD`]: [...Object.keys(files), `${info}/METADATA`, `${info}/WHEEL`, `${info}/RECORD`]
      .map((file) => `${file},,\n`)
      .join(""),
  });
  await writeFile(path.join(folder, `${name.replaceAll("-", "_")}-${version}-py3-none-any.whl`), content);
}

t.test("by pip: for CUDA with what it needs, for the CPU alone", async (t) => {
  const index = await temporaryFolder(t);
  const files = { "torch/version.py": "__version__ = '2.13.0'\n", "torch/lib/libtorch_cpu.so": "cpu" };
  await pipWheel(index, "nvidia-stand-in", "1.0", { "nvidia/lib/libcudart.so": "runtime" });
  const environment = { PIP_NO_INDEX: "1", PIP_FIND_LINKS: index };

  await pipWheel(index, "torch", "2.13.0+cpu", files, "nvidia-stand-in");
  const without = await temporaryFolder(t);
  const refused = await begin(without, ["--device", "cuda", "--yes"], environment).ended;
  t.match(refused, { exitCode: 3, errors: /a libtorch 2\.13\.0 with CUDA but 2\.13\.0 is built without it/ });
  t.same(readdirSync(without), [], "nothing is left");
  const plain = await begin(without, ["--from", "pip", "--yes"], environment).ended;
  t.equal(plain.exitCode, 0, plain.errors);
  t.notOk(existsSync(path.join(without, "libtorch-2.13.0", "nvidia")));

  const withCuda = await temporaryFolder(t);
  await pipWheel(withCuda, "nvidia-stand-in", "1.0", { "nvidia/lib/libcudart.so": "runtime" });
  await pipWheel(withCuda, "torch", "2.13.0", { ...files, "torch/lib/libtorch_cuda.so": "cuda" }, "nvidia-stand-in");
  const like = { PIP_NO_INDEX: "1", PIP_FIND_LINKS: withCuda };
  const unsuitable = await begin(without, ["--from", "pip", "--version", "2.13.1", "--yes"], like).ended;
  t.match(unsuitable, { exitCode: 4, errors: /torch==2\.13\.1\+cpu.*; set PIP_INDEX_URL to a mirror of/ });
  const cache = await temporaryFolder(t);
  const brought = await begin(cache, ["--device", "cuda", "--yes"], like).ended;
  t.equal(brought.exitCode, 0, brought.errors);
  t.same(readdirSync(cache), ["libtorch-2.13.0-cuda"]);
  t.equal(readFileSync(path.join(cache, "libtorch-2.13.0-cuda", "nvidia", "lib", "libcudart.so"), "utf8"), "runtime");
});

t.test("what can't be brought leaves nothing", async (t) => {
  const folder = await temporaryFolder(t);
  const put = async (name: string, content: Buffer) => {
    await writeFile(path.join(folder, name), content);
    return path.join(folder, name);
  };
  const server = await serve(t, wheel, name);
  const absent = await serve(t, wheel, name, { errors: 99, status: 404 });
  const down = await serve(t, wheel, name, { errors: 99, status: 500 });
  const other = await zip({ "torch/version.py": "__version__ = '2.12.0'", "torch/lib/libtorch_cpu.so": library });
  const cut = await put("cut.whl", wheel);
  await truncate(cut, wheel.length / 2);
  const spoilt = Buffer.from(wheel);
  spoilt.fill(0, 1000, 2000);
  const right = ["--sha256", sha256(wheel)];
  const wrong: [exitCode: number, code: string, ...args: string[]][] = [
    [2, "INVALID_ARGUMENT", "--from", server.url, "--yes"],
    [2, "INVALID_ARGUMENT", "--from", server.url, ...right],
    [2, "INVALID_ARGUMENT", "--device", "tpu"],
    [2, "INVALID_ARGUMENT", "--version", "2.13"],
    [3, "FILE_NOT_FOUND", "--from", path.join(folder, "nowhere.whl")],
    [4, "CHECKSUM_MISMATCH", "--from", server.url, "--yes", "--sha256", "0".repeat(64)],
    [4, "CHECKSUM_MISMATCH", "--from", await put(name, spoilt), ...right],
    [4, "DOWNLOAD_FAILED", "--from", absent.url, "--yes", ...right],
    [4, "DOWNLOAD_FAILED", "--from", down.url, "--yes", ...right],
    [4, "DOWNLOAD_FAILED", "--from", "http://127.0.0.1:1/x.whl", "--yes", ...right],
    [3, "ARCHIVE_INVALID", "--from", await put("a.zip", Buffer.from("no zip"))],
    [3, "ARCHIVE_INVALID", "--from", await put("b.zip", await zip({ "torch/nn.py": "" }))],
    [3, "ARCHIVE_INVALID", "--from", cut],
    [3, "ARCHIVE_INVALID", "--from", await put("c.zip", other)],
    [3, "ARCHIVE_INVALID", "--from", path.join(root, "lib")],
  ];
  for (const [exitCode, code, ...args] of wrong) {
    const cache = path.join(folder, "cache");
    const ended = await begin(cache, args).ended;
    t.match(ended, { exitCode, output: "" }, args.join(" "));
    t.match(ended.errors, new RegExp(`^attention-bypass: \\S.* \\[${code}\\]\\n$`));
    t.same(existsSync(cache) ? readdirSync(cache) : [], [], `${code}: nothing is left`);
  }
  const nowhere = await begin(path.join(cut, "cache"), ["--from", await put(name, wheel)]).ended;
  t.match(nowhere, { exitCode: 4, errors: /\[WRITE_FAILED\]/ });
});
