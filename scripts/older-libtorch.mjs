// Downloads a libtorch of an older series and compiles the addon for it, for test/older-libtorch.test.ts. The libtorch is
// stored in .cache/older-libtorch/, where no other test finds it.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { addonsBuilt, buildAddons, versions } from "./compile.mjs";

const root = path.join(import.meta.dirname, "..");
const cache = path.join(root, ".cache", "older-libtorch");
const series = "2.12";
const version = versions[series];
const unpacked = path.join(cache, `libtorch-${version}`);
const folder = path.join(unpacked, "torch");

/** The value for ATTENTION_BYPASS_LIBTORCH. Undefined if the libtorch is missing, or the addon is missing or outdated. */
export const existingOlderLibtorch = () => (existsSync(folder) && addonsBuilt({ folder, series }) ? folder : undefined);

/** Installs packages into the folder. */
function install(...packages) {
  const python = process.env.ATTENTION_BYPASS_PYTHON ?? "python3";
  const args = ["-m", "pip", "install", "--no-compile", "--quiet", "--target", unpacked, ...packages];
  const { status } = spawnSync(python, args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`${[python, ...args].join(" ")} failed`);
}

/** The build on PyPI has CUDA, and needs two of NVIDIA's libraries even on a machine without a GPU. */
function addCudaRuntime() {
  const about = readdirSync(unpacked).find((name) => /^torch-.*\.dist-info$/.test(name));
  const metadata = readFileSync(path.join(unpacked, about, "METADATA"), "utf8");
  const toolkit = /^Requires-Dist: cuda-toolkit\[.*\]==([\d.]+)/m.exec(metadata);
  if (!toolkit || existsSync(path.join(unpacked, "nvidia"))) return;
  install(`cuda-toolkit[cudart,cupti]==${toolkit[1]}`);
}

/** Downloads the libtorch and compiles the addon if they are missing. Returns the exit code. */
export function makeOlderLibtorch() {
  try {
    if (!existsSync(folder)) {
      install("--no-deps", `torch==${version}`);
    }
    addCudaRuntime();
    return buildAddons({ folder, series });
  } catch (error) {
    console.error(`older-libtorch: ${error.message}`);
    return 1;
  }
}

if (process.argv[1] === import.meta.filename) process.exitCode = makeOlderLibtorch();
