// Greedy decoding of one row and a batched forward pass, against Hugging Face transformers in alternating rounds:
//   node bench/hugging-face.mjs [--rounds 3] [--threads 2] [--device cpu] [--dtype float32] [--model FOLDER]
// The default model has Pythia-160m's shape and random weights.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { loadModel } from "attention-bypass";
import { referencePython } from "../scripts/python.mjs";
import { decodeAndForward } from "./decode-and-forward.mjs";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    device: { type: "string", default: "cpu" },
    dtype: { type: "string", default: "float32" },
    model: { type: "string", default: path.join(import.meta.dirname, "..", ".cache", "pythia-160m-shape") },
  },
});
const python = referencePython();
const script = (name) => path.join(import.meta.dirname, name);

if (!existsSync(values.model)) execFileSync(python, [script("make_checkpoint.py"), values.model], { stdio: "inherit" });

const { device, dtype } = values;

async function ours() {
  const model = await loadModel(values.model, { device, dtype, threads: Number(values.threads) });
  const seconds = await decodeAndForward(model, { rows: 64, tokens: 64 });
  await model.dispose();
  return seconds;
}

const where = ["--device", device, "--dtype", dtype];
const theirs = () =>
  JSON.parse(execFileSync(python, [script("hugging_face.py"), values.model, values.threads, ...where]));
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

const rounds = [];
for (let round = 0; round < Number(values.rounds); round++) rounds.push({ ours: await ours(), theirs: theirs() });
for (const task of ["decode", "forward"]) {
  const [own, reference] = ["ours", "theirs"].map((who) => rounds.map((round) => round[who][task]));
  const ratios = rounds.map((round) => round.theirs[task] / round.ours[task]);
  console.log(
    `${task}: ${median(own).toFixed(3)} s, transformers ${median(reference).toFixed(3)} s; ` +
      `transformers / ours ${ratios.map((ratio) => ratio.toFixed(2)).join(", ")} (median ${median(ratios).toFixed(2)})`,
  );
}
