// What a decoding step and a sweep ask of a device, counted on the CPU with ATTENTION_BYPASS_OPERATORS=1, which computes
// as on a GPU, with libtorch's operators alone. The cost of each launch and copy is what slows a GPU down.
//   node bench/launches.mjs
// Operators are those that compute, not views; decoding is counted for one block and for what a step needs beside its
// blocks, from models of two depths.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { loadModel } from "attention-bypass";
import { writeRandomCheckpoint } from "./random-checkpoint.mjs";

const variable = "ATTENTION_BYPASS_OPERATORS";
const shape = { width: 256, heads: 4, vocabulary: 2048, contextLength: 256 };
const depths = [2, 6];

const require = createRequire(import.meta.url);
const binding = require("../binding/index.cjs");
const series = require("../package.json").config.libtorch.split(".").slice(0, 2).join(".");

/** Runs work and returns what it asked of the device. */
async function counted(work) {
  const addon = binding.loadAddon(series);
  addon.launches(true);
  await work();
  return addon.launches(false);
}

/** The counts of a step, from generations of two lengths. */
async function stepOf(model, rows, options) {
  const prompts = Array.from({ length: rows }, (_, row) => [row + 1, 2, 3, 4, 5, 6, 7, 8]);
  const generate = (maxNewTokens) =>
    counted(() => model.generate(prompts, { maxNewTokens, stopAtEndOfText: false, ...options }));
  const few = await generate(8);
  const many = await generate(40);
  return Object.fromEntries(Object.keys(few).map((key) => [key, (many[key] - few[key]) / 32]));
}

/** The bytes that this process has read from files. */
const bytesRead = () => Number(/rchar: (\d+)/.exec(readFileSync("/proc/self/io", "utf8"))[1]);

async function count(folders, dtype) {
  const models = [];
  for (const folder of folders) models.push(await loadModel(folder, { device: "cpu", dtype }));
  for (const [name, rows, options] of [
    ["1 row", 1, {}],
    ["16 rows", 16, {}],
    ["16 rows, sampled", 16, { temperature: 0.8, topP: 0.9, seed: 1 }],
  ]) {
    const [shallow, deep] = [await stepOf(models[0], rows, options), await stepOf(models[1], rows, options)];
    const blocks = depths[1] - depths[0];
    const perBlock = (deep.operators - shallow.operators) / blocks;
    report(`${dtype}, decoding step, ${name}`, {
      "operators per block": perBlock,
      "operators beside": shallow.operators - depths[0] * perBlock,
      uploads: deep.uploads,
      "uploaded bytes": deep.uploadedBytes,
      readbacks: deep.readbacks,
    });
  }
  const [, deep] = models;
  const samples = Array.from({ length: 16 }, (_, row) =>
    Array.from({ length: 48 }, (_, i) => (row * 131 + i * 17) % 2048),
  );
  // The first sweep of a model reads the weights once, for their hash in the settings.
  await deep.sweep({ samples, prefixLength: 16 });
  const before = bytesRead();
  const sweep = await counted(() => deep.sweep({ samples, prefixLength: 16 }));
  const tokenBytes = 2 * shape.width * depths[1] * (dtype === "float32" ? 4 : 2);
  report(`${dtype}, sweep of ${depths[1]} blocks, 16 rows`, {
    operators: sweep.operators,
    uploads: sweep.uploads,
    readbacks: sweep.readbacks,
    "rows decoded": sweep.decodedRows,
    "key and value bytes, of those of the decoded tokens": sweep.keyValueBytes / (sweep.decodedRows * tokenBytes),
    "bytes read from files, of the weights":
      (bytesRead() - before) / statSync(path.join(folders[1], "model.safetensors")).size,
  });
  for (const model of models) await model.dispose();
}

function report(title, numbers) {
  console.log(title);
  for (const [name, number] of Object.entries(numbers)) console.log(`  ${name}: ${Number(number.toFixed(3))}`);
}

if (process.env[variable] === "1") {
  const folder = mkdtempSync(path.join(tmpdir(), "attention-bypass-launches-"));
  try {
    const folders = depths.map((blocks) => path.join(folder, String(blocks)));
    for (const dtype of ["float32", "bfloat16"]) {
      for (const [index, blocks] of depths.entries())
        writeRandomCheckpoint(folders[index], { ...shape, blocks }, 1, dtype);
      await count(folders, dtype);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
} else {
  const { status } = spawnSync(process.execPath, process.argv.slice(1), {
    env: { ...process.env, [variable]: "1" },
    stdio: "inherit",
  });
  process.exitCode = status ?? 1;
}
