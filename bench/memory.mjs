// The most memory that whole sweeps take, as /usr/bin/time has it, beside what the budget allows: Pythia-160m's shape, 256
// rows of 64 tokens, all metrics, by default and with weights that stay in their files.
//   node bench/memory.mjs [--threads 2] [--rows 256]
import { spawnSync } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { pythia160mShape } from "./pythia-160m-shape.mjs";

const { values } = parseArgs({
  options: { threads: { type: "string", default: "2" }, rows: { type: "string", default: "256" } },
});
const model = pythia160mShape();
const mebibyte = 2 ** 20;
const [blocks, hidden, vocabulary, bytes] = [12, 768, 50304, 4];
const block = (12 * hidden * hidden + 13 * hidden) * bytes;
const embedding = vocabulary * hidden * bytes;
const runs = [
  {
    name: "default",
    load: {},
    sweep: {},
    allowed: { what: "weights + 1.5 GiB", bytes: blocks * block + 2 * embedding + 1.5 * 2 ** 30 },
  },
  {
    name: "512 MiB, weights in their files",
    load: { offload: true },
    sweep: { memory: 512 * mebibyte },
    allowed: { what: "two blocks + head + budget", bytes: 2 * block + embedding + 512 * mebibyte },
  },
];

const script = `
import { loadModel } from "attention-bypass";
const { model: folder, load, sweep } = JSON.parse(process.argv.at(-1));
const model = await loadModel(folder, load);
const { cost } = await model.sweep(sweep);
console.log(cost.seconds);
await model.dispose();
`;

function measure({ load, sweep }) {
  const options = {
    model,
    load: { device: "cpu", threads: Number(values.threads), ...load },
    sweep: { samples: path.join(model, "samples.npy"), prefixLength: 32, rows: Number(values.rows), ...sweep },
  };
  const node = [process.execPath, "--input-type=module", "--eval", script, "--", JSON.stringify(options)];
  const { status, stdout, stderr } = spawnSync("/usr/bin/time", ["-v", ...node], {
    cwd: path.join(import.meta.dirname, ".."),
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr);
  const [, kibibytes] = /Maximum resident set size \(kbytes\): (\d+)/.exec(stderr);
  return { seconds: Number(stdout), peak: Number(kibibytes) * 1024 };
}

const head = ["sweep", "seconds", "peak, MiB", "allowed, MiB", "that is"];
const table = new Table({ head });
for (const run of runs) {
  const { seconds, peak } = measure(run);
  const { what, bytes: allowed } = run.allowed;
  const row = [run.name, seconds.toFixed(0), (peak / mebibyte).toFixed(0), (allowed / mebibyte).toFixed(0), what];
  console.error(row.join(", "));
  table.push(row);
}
console.log(table.toString());
