// Which test files `npm run test:quick` runs: all but the slow ones.
import { readdirSync } from "node:fs";
import path from "node:path";

const folder = path.join(import.meta.dirname, "..", "test");

/** Files that run for more than about 15 seconds on two free cores, and what takes them so long. */
export const slowTests = {
  "abort.test.ts": "aborts every call, early and late",
  "bad-arguments.test.ts": "passes every wrong value to every option",
  "bad-libtorch.test.ts": "loads broken copies of libtorch, each in a process",
  "bad-tensors.test.ts": "loads a checkpoint for each fault of a tensor",
  "benchmark.test.ts": "scores five benchmarks on four models",
  "check-cuda.test.ts": "rehearses the whole check of a GPU",
  "cli.test.ts": "starts a process for each command",
  "cli-failures.test.ts": "starts a process for each failure",
  "convert-checkpoint.test.ts": "loads checkpoints in Python, and starts processes",
  "cuda-preload.test.ts": "compiles libraries that stand for those of CUDA",
  "divergence.test.ts": "proves bounds against random bypasses of six models",
  "embedded.test.ts": "measures both embedded models, and in Python too",
  "failures.test.ts": "runs out of memory, disk and files",
  "fuzz.test.ts": "mutates files for a minute",
  "hostile-calls.test.ts": "calls with objects that change while they are read",
  "hostile-tasks.test.ts": "scores tasks of every extreme size",
  "hosts.test.ts": "packs the package, and installs it under other hosts",
  "lifecycle.test.ts": "makes every call with a model that is slow enough to interrupt",
  "lifetime-stress.test.ts": "calls twenty thousand times",
  "memory.test.ts": "loads models a thousand times",
  "operators.test.ts": "runs other tests again, with libtorch's operators alone",
  "package.test.ts": "packs, installs and uses the package",
  "python.test.ts": "computes perplexities in Python",
  "report.test.ts": "draws every figure in every format",
  "serve-clients.test.ts": "64 clients for several seconds",
  "serve-harness.test.ts": "scores two benchmarks through the server",
  "setup.test.ts": "installs libtorch again and again, as a process",
  "snippets.test.ts": "runs every program and command of the pages",
  "study-gpt-neo.test.ts": "sweeps a trained model",
  "study-pythia.test.ts": "sweeps a trained model",
  "sweep-resume.test.ts": "kills and repeats a sweep",
  "tokenizer-parity.test.ts": "tokenizes texts in Python",
  "traced.test.ts": "runs traced modules in processes with limits",
  "worker.test.ts": "ends processes in the middle of work, again and again",
  "written-bypass.test.ts": "loads a hundred and fifty models in Python",
};

/** Paths of the other files, from the root of the repository. */
export function quickTests() {
  const names = readdirSync(folder).filter((name) => name.endsWith(".test.ts") && !(name in slowTests));
  return names.map((name) => path.join("test", name));
}
