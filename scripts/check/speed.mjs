// Measures the speed of the device, of the CPU, and of transformers on the same device, in one run.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { decodeAndForward } from "../../bench/decode-and-forward.mjs";
import { pythia160m, writeRandomCheckpoint } from "../../bench/random-checkpoint.mjs";
import { shared } from "./fixtures.mjs";
import { dtypes } from "./parity.mjs";

const small = { blocks: 3, width: 128, heads: 4, vocabulary: 1000, contextLength: 128 };
const prefixLength = 32;

const tasks = { decode: "generate", forward: "forward pass of a batch", sweep: "sweep over the blocks" };

async function ours({ folder, samples, rows, tokens, load }, device, dtype) {
  const model = await load(folder, { device, dtype });
  try {
    const seconds = await decodeAndForward(model, { rows, tokens });
    const swept = { samples, prefixLength, rows, metrics: ["exactMatch", "tokenAccuracy", "completionEntropy"] };
    // A first run, so that one-time work on a GPU, such as choosing kernels, is not measured.
    await model.sweep({ ...swept, over: [{ blocks: [0] }] });
    const started = performance.now();
    await model.sweep(swept);
    return { ...seconds, sweep: (performance.now() - started) / 1000 };
  } finally {
    await model.dispose();
  }
}

function runPython(python, args) {
  return JSON.parse(execFileSync(python, args.map(String), { stdio: ["ignore", "pipe", "ignore"] }));
}

/** Measures the same work in transformers. The sweep is that of the paper's authors, if it is next to the repository. */
function transformers({ python, folder, samples, rows, tokens, threads, log }, device, dtype) {
  const measured = {};
  const where = ["--device", device, "--dtype", dtype, "--rows", rows];
  const attempt = (what, args, take) => {
    try {
      Object.assign(measured, take(runPython(python, args)));
    } catch {
      log(`transformers did not run: ${what}, ${dtype}`);
    }
  };
  const timing = path.join(import.meta.dirname, "..", "..", "bench", "hugging_face.py");
  attempt("decoding", [timing, folder, threads, ...where, "--tokens", tokens], (result) => result);
  const sweep = shared("tools", "reference_sweep.py");
  const shape = ["--threads", threads, "--prefix-length", prefixLength];
  if (sweep) attempt("sweep", [sweep, folder, samples, ...where, ...shape], ({ seconds }) => ({ sweep: seconds }));
  return measured;
}

const seconds = (value) => (value === undefined ? "" : `${value.toPrecision(3)} s`);
const ratio = (one, other) => (one === undefined ? "" : (one / other).toFixed(2));

export async function measureSpeed(context) {
  const { device, quick, record, log, python } = context;
  const folder = mkdtempSync(path.join(os.tmpdir(), "check-cuda-"));
  try {
    const [rows, tokens] = quick ? [8, 16] : [64, 64];
    log(`writing a random checkpoint for the speeds`);
    writeRandomCheckpoint(folder, quick ? small : pythia160m, rows);
    const subject = { ...context, folder, samples: path.join(folder, "samples.npy"), rows, tokens };
    const processor = await ours(subject, "cpu", "float32");
    for (const dtype of quick ? ["float32"] : dtypes) {
      const own = device === "cpu" && dtype === "float32" ? processor : await ours(subject, device, dtype);
      const theirs = python ? transformers(subject, device, dtype) : {};
      for (const [task, what] of Object.entries(tasks)) {
        record.speed({
          what,
          dtype,
          [device]: seconds(own[task]),
          "CPU, float32": seconds(processor[task]),
          [`CPU / ${device}`]: ratio(processor[task], own[task]),
          [`transformers on ${device}`]: seconds(theirs[task]),
          "transformers / ours": ratio(theirs[task], own[task]),
        });
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
