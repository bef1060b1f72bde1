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

function run(command, args) {
  const env = { ...process.env, ATTENTION_BYPASS_CACHE: cache };
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", env });
  if (status !== 0) throw new Error(`${[command, ...args].join(" ")} failed`);
}

/** The build on PyPI has CUDA, and needs two of NVIDIA's libraries even on a machine without a GPU. */
function addCudaRuntime() {
  const about = readdirSync(unpacked).find((name) => /^torch-.*\.dist-info$/.test(name));
  const metadata = readFileSync(path.join(unpacked, about, "METADATA"), "utf8");
  const toolkit = /^Requires-Dist: cuda-toolkit\[.*\](==[\d.]+)/m.exec(metadata);
  if (!toolkit || existsSync(path.join(unpacked, "nvidia"))) return;
  const python = process.env.ATTENTION_BYPASS_PYTHON ?? "python3";
  const install = ["-m", "pip", "install", "--quiet", "--no-compile", "--target", unpacked];
  run(python, [...install, `cuda-toolkit[cudart,cupti]${toolkit[1]}`]);
}

/** Downloads the libtorch and compiles the addon if they are missing. Returns the exit code. */
export function makeOlderLibtorch() {
  try {
    if (!existsSync(folder)) {
      run(process.execPath, [
        path.join(root, "dist", "cli.js"),
        ...["setup", "--version", version, "--from", "pip", "--yes"],
      ]);
    }
    addCudaRuntime();
    return buildAddons({ folder, series });
  } catch (error) {
    console.error(`older-libtorch: ${error.message}`);
    return 1;
  }
}

if (process.argv[1] === import.meta.filename) process.exitCode = makeOlderLibtorch();
