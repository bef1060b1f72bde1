// The sweep over all blocks against the paper's own way on Hugging Face transformers (reference_sweep.py), in
// alternating rounds on the same threads and rows, and against scoreMemorization for one block after the other:
//   node bench/sweep.mjs [--rounds 3] [--threads 2] [--model FOLDER --samples FILE --prefix-length N [--rows N]]
//                        [--reference reference_sweep.py] [--without-block-by-block]
// Without --model: a model of Pythia-160m's shape with random weights, and the models of ../shared/study.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { loadModel } from "attention-bypass";
import Table from "cli-table3";
import { parse as parseNpy } from "npyjs";
import { referencePython } from "../scripts/python.mjs";
import { leastOperations } from "./least-operations.mjs";
import { pythia160mShape } from "./pythia-160m-shape.mjs";

const here = (...names) => path.join(import.meta.dirname, ...names);
const shared = (...names) => here("..", "..", "shared", ...names);
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    model: { type: "string" },
    samples: { type: "string" },
    "prefix-length": { type: "string" },
    rows: { type: "string", default: "192" },
    reference: { type: "string", default: shared("tools", "reference_sweep.py") },
    "without-block-by-block": { type: "boolean", default: false },
  },
});
const python = referencePython();
const threads = Number(values.threads);
const quick = ["exactMatch", "completionEntropy"];

function readNpy(file) {
  const bytes = readFileSync(file);
  return parseNpy(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

function subjects() {
  if (values.model) {
    const { model, samples, rows } = values;
    return [{ model, samples, prefixLength: Number(values["prefix-length"]), rows: Number(rows) }];
  }
  const shape = pythia160mShape();
  const study = (name, prefixLength) => ({
    model: shared("study", name),
    samples: shared("study", name, "memorized.npy"),
    prefixLength,
    rows: 192,
  });
  return [
    study("pythia-study", 40),
    study("gpt-neo-study", 50),
    { model: shape, samples: path.join(shape, "samples.npy"), prefixLength: 32, rows: 64 },
  ];
}

function reference({ model, samples, prefixLength, rows }) {
  const numbers = ["--prefix-length", prefixLength, "--rows", rows, "--threads", threads].map(String);
  return JSON.parse(
    execFileSync(python, [values.reference, model, samples, ...numbers], { stdio: ["ignore", "pipe", "ignore"] }),
  );
}

const runs = [
  { name: "float32, without token accuracy", dtype: "float32", metrics: quick },
  { name: "bfloat16, without token accuracy", dtype: "bfloat16", metrics: quick },
  { name: "float32, all metrics", dtype: "float32" },
  { name: "bfloat16, all metrics", dtype: "bfloat16" },
];

async function withModel(folder, dtype, work) {
  const model = await loadModel(folder, { device: "cpu", threads, dtype });
  try {
    return await work(model);
  } finally {
    await model.dispose();
  }
}

const seconds = async (work) => {
  const began = performance.now();
  const result = await work();
  return { seconds: (performance.now() - began) / 1000, result };
};

const sweep = ({ model, samples, prefixLength, rows }, { dtype, metrics }) =>
  withModel(model, dtype, (loaded) =>
    seconds(() => loaded.sweep({ samples, prefixLength, rows, ...(metrics && { metrics }) })),
  );

const blockByBlock = ({ model, samples, prefixLength, rows }, { dtype, metrics }) =>
  withModel(model, dtype, (loaded) =>
    seconds(async () => {
      for (let block = -1; block < loaded.config.blockCount; block++) {
        const bypass = block < 0 ? {} : { bypass: { blocks: [block] } };
        await loaded.scoreMemorization(samples, { prefixLength, rows, ...(metrics && { metrics }), ...bypass });
      }
    }),
  );

/** The sweep's operations as a multiple of the fewest; rows of the samples are of one length. */
function excess({ prefixLength, rows, length }, { result }) {
  const decoded = [result.base, ...result.variants].map(({ memorization: { perRow } }) =>
    perRow[0].tokenAccuracy === undefined
      ? 0
      : perRow.reduce((sum, row) => sum + Math.max(0, length - prefixLength - row.extractableLength - 1), 0),
  );
  return (
    result.cost.operations / leastOperations(result.settings.model.config, { rows, length, prefixLength }, decoded)
  );
}

const exactMatches = ({ result }) =>
  [result.base, ...result.variants].map(({ memorization }) => memorization.exactMatch);
const largest = (left, right) => Math.max(...left.map((value, index) => Math.abs(value - right[index])));
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const listed = (numbers) => numbers.map((number) => number.toFixed(2)).join(", ");

const peaks = JSON.parse(execFileSync(python, [here("peak.py"), values.threads]));
console.log(
  `Matrix products of this machine on ${threads} threads: ` +
    Object.entries(peaks)
      .map(([dtype, peak]) => `${dtype} ${(peak / 1e9).toFixed(0)} GFLOP/s`)
      .join(", "),
);
for (const subject of subjects()) {
  const { data, shape } = readNpy(subject.samples);
  subject.length = shape[1];
  subject.rows = Math.min(subject.rows, data.length / shape[1]);
  const rounds = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const theirs = reference(subject);
    const ours = [];
    for (const run of runs) ours.push(await sweep(subject, run));
    rounds.push({ theirs, ours });
    console.error(
      `${path.basename(subject.model)}, round ${round + 1}: reference ${theirs.seconds.toFixed(1)} s, ours ${listed(ours.map((our) => our.seconds))} s`,
    );
  }
  const head = ["run", "seconds", "reference / ours", "median", "GFLOP/s", "share of peak", "operations / fewest"];
  head.push("exact match, largest difference from the reference", "block by block / sweep");
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  for (const [index, run] of runs.entries()) {
    const own = rounds.map(({ ours }) => ours[index]);
    const ratios = rounds.map(({ theirs, ours }) => theirs.seconds / ours[index].seconds);
    const took = median(own.map((our) => our.seconds));
    const speed = own[0].result.cost.operations / took;
    const expected = [rounds[0].theirs.base, ...Object.values(rounds[0].theirs.blocks)].map(
      (scores) => scores.exact_match,
    );
    const single = values["without-block-by-block"] ? undefined : (await blockByBlock(subject, run)).seconds / took;
    table.push([
      run.name,
      listed(own.map((our) => our.seconds)),
      listed(ratios),
      median(ratios).toFixed(2),
      (speed / 1e9).toFixed(0),
      `${((100 * speed) / peaks[run.dtype]).toFixed(0)} %`,
      excess(subject, own[0]).toFixed(3),
      largest(exactMatches(own[0]), expected).toFixed(4),
      single === undefined ? "" : single.toFixed(2),
    ]);
  }
  const times = listed(rounds.map(({ theirs }) => theirs.seconds));
  console.log(`\n${path.basename(subject.model)}, ${subject.rows} rows; reference ${times} s\n${table}`);
}
