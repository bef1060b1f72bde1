// node-llama-cpp as a peer, in .cache/llama-cpp/, with random weights of Pythia-160m's shape as GGUF and as a checkpoint.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { referencePython } from "../scripts/python.mjs";

const version = "3.22";
const root = path.join(import.meta.dirname, "..");
const folder = path.join(root, ".cache", "llama-cpp");
const kinds = { float32: "f32", float16: "f16", bfloat16: "bf16" };
const ggufFile = (dtype) => path.join(folder, `${dtype}.gguf`);

/** A checkpoint folder with the weights of the GGUF files. */
export const checkpoint = path.join(folder, "pythia160-random");

/** The script that writes both. */
export const defaultScript = path.join(root, "..", "shared", "tools", "pythia160_gguf.py");

/** Installs what is missing, and writes the weights in these dtypes. */
export function prepare(dtypes, script = defaultScript) {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(path.join(folder, "node_modules", "node-llama-cpp"))) {
    const npm = ["install", "--prefix", folder, "--no-audit", "--no-fund", `node-llama-cpp@${version}`];
    execFileSync("npm", npm, { stdio: "inherit" });
  }
  const python = referencePython();
  const packages = path.join(folder, "python");
  if (!existsSync(packages)) {
    const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", packages, "gguf"];
    execFileSync(python, pip, { stdio: "inherit" });
  }
  for (const dtype of dtypes) {
    if (existsSync(ggufFile(dtype))) continue;
    const env = { ...process.env, PYTHONPATH: packages };
    execFileSync(python, [script, kinds[dtype], ggufFile(dtype)], { cwd: folder, env, stdio: "inherit" });
  }
}

/** Opens a context on the CPU. Sequences of one context are evaluated as one batch. */
export async function openContext({ dtype, threads, sequences = 1, contextSize = 512 }) {
  const module = path.join(folder, "node_modules", "node-llama-cpp", "dist", "index.js");
  const { getLlama } = await import(pathToFileURL(module).href);
  const llama = await getLlama({ gpu: false, build: "never" });
  const model = await llama.loadModel({ modelPath: ggufFile(dtype) });
  return model.createContext({ contextSize, threads, sequences });
}

/** Returns a greedy generation after a prompt as an async iterator of tokens. */
export const generate = (sequence, prompt) => sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true });
