// The check of a GPU, rehearsed on the CPU; and what it says where there is no CUDA.
import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import * as attentionBypass from "attention-bypass";
import { diagnose, type LoadModelOptions, loadModel } from "attention-bypass";
import t from "tap";
import { checkConsistency } from "../scripts/check/consistency.mjs";
import { libtorchFor } from "../scripts/check/libtorch.mjs";
import { checkParity } from "../scripts/check/parity.mjs";
import { Record } from "../scripts/check/record.mjs";
import { root, runCommand } from "./support/child.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { spoiledModel } from "./support/spoiled-model.ts";

t.setTimeout(600_000);

const checkCuda = (args: string[], env = process.env) =>
  runCommand([process.execPath, path.join(root, "scripts", "check-cuda.mjs"), ...args], { timeout: 500_000, env });

/** The rows of the table with a heading, without the heading and the line under it. */
function rowsUnder(text: string, heading: string): string[][] {
  const lines = text.split("\n");
  const begin = lines.findIndex((line) => line.startsWith(`| ${heading} `));
  const end = lines.indexOf("", begin);
  return lines.slice(begin + 2, end).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

t.test("a rehearsal on the CPU passes every check", async (t) => {
  const file = path.join(await temporaryFolder(t), "table.md");
  const { code, stdout, stderr } = await checkCuda(["--device", "cpu", "--quick", "--output", file]);
  t.equal(code, 0, stderr);
  t.equal(readFileSync(file, "utf8"), stdout);
  const checks = rowsUnder(stdout, "check");
  for (const [what, dtype, figure, limit, result] of checks)
    t.equal(result, "pass", `${what}, ${dtype}`, { figure, limit });
  for (const dtype of ["float32", "bfloat16", "float16"]) {
    const logits = checks.filter(([what, of]) => /^logits of [\w-]+$/.test(what ?? "") && of === dtype);
    t.equal(logits.length, 4, `${dtype}: a model of each family, and a traced one`);
  }
  const parts = [
    "greedy tokens",
    "perplexities",
    "a sweep and of separate calls",
    "a stream",
    "a batch",
    "heads",
    "mean",
  ];
  for (const part of [...parts, "kept on disk", "task sums", "aborted sweep", "does not exist"]) {
    t.ok(
      checks.some(([what]) => what?.includes(part)),
      `it checks: ${part}`,
    );
  }
  t.equal(rowsUnder(stdout, "what").length, 3, "speeds");
});

t.test("every check fails of a model whose results are wrong", async (t) => {
  const record = new Record(() => {});
  const load = async (folder: string, { device, ...options }: LoadModelOptions & { device: string }) => {
    const model = await loadModel(folder, { ...options, device: "cpu", threads: 1 });
    return device === "cpu" ? model : spoiledModel(model);
  };
  const log = () => {};
  const context = { device: "spoiled", quick: true, load, library: attentionBypass, record, log };
  await checkParity(context);
  await checkConsistency(context);
  t.ok(record.rows.length > 30, `${record.rows.length} checks`);
  for (const { what, dtype, passed, figure } of record.rows) t.equal(passed, false, `${what}, ${dtype}: ${figure}`);
});

const { libtorch } = await diagnose();
const cuda = libtorch !== undefined && existsSync(path.join(libtorch.libraries, "libtorch_cuda.so"));
t.test("without CUDA it says in one line what is missing", { skip: cuda && "this libtorch has CUDA" }, async (t) => {
  // A machine may also have a libtorch of another series, with CUDA.
  const env = { ...process.env, ATTENTION_BYPASS_LIBTORCH: libtorch?.folder };
  const { code, stdout, stderr } = await checkCuda(["--device", "cuda:0"], env);
  t.equal(code, 2);
  t.equal(stdout, "");
  t.match(stderr, /^check-cuda: [^\n]*libtorch_cuda\.so[^\n]*ATTENTION_BYPASS_LIBTORCH[^\n]*\n$/);
});

t.test("Python's build with CUDA is found behind the cache's for the CPU", async (t) => {
  const folder = await temporaryFolder(t);
  const pretend = async (place: string, version: string, ...libraries: string[]) => {
    await mkdir(path.join(folder, place, "lib"), { recursive: true });
    await writeFile(path.join(folder, place, "version.py"), `__version__ = '${version}'\n`);
    for (const name of libraries) await writeFile(path.join(folder, place, "lib", name), "");
    return path.join(folder, place);
  };
  const cached = await pretend("cache/libtorch-2.13.0/torch", "2.13.0+cpu", "libtorch_cpu.so");
  const pythons = await pretend("python/torch", "2.12.1+cu126", "libtorch_cpu.so", "libtorch_cuda.so");
  const python = path.join(folder, "python3");
  await writeFile(python, `#!/bin/sh\necho ${path.join(pythons, "__init__.py")}\n`, { mode: 0o755 });
  const environment = { ...process.env };
  t.teardown(() => {
    process.env = environment;
  });
  process.env.ATTENTION_BYPASS_CACHE = path.join(folder, "cache");
  process.env.ATTENTION_BYPASS_PYTHON = python;
  delete process.env.ATTENTION_BYPASS_LIBTORCH;
  t.equal((await libtorchFor("cuda:0")).folder, pythons);
  t.equal((await libtorchFor("cpu")).folder, cached);
  process.env.ATTENTION_BYPASS_LIBTORCH = cached;
  await t.rejects(libtorchFor("cuda:0"), { message: /libtorch_cuda\.so.*2\.13\.0\+cpu/ });
});

t.test("arguments that it does not know", async (t) => {
  for (const args of [["--device", "gpu"], ["--fast"]]) {
    const { code, stderr } = await checkCuda(args);
    t.equal(code, 2);
    t.match(stderr, /^check-cuda: [^\n]+\n$/);
  }
});
