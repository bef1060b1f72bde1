// Prepares a checkout: installs npm packages, builds dist/, finds or downloads libtorch, and compiles the native addons. A step is
// skipped if its result exists and is newer than its sources.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { buildAddons, pinned, pinnedSeries as series, upToDate } from "./compile.mjs";

const root = path.join(import.meta.dirname, "..");
const at = (...names) => path.join(root, ...names);

class SetupError extends Error {}

function run(command, args, hint) {
  console.log(`> ${[command, ...args].join(" ")}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status !== 0)
    throw new SetupError(`${path.basename(command)} failed${error ? ` (${error.message})` : ""}. ${hint}`);
}

const tool = (name) => at("node_modules", ".bin", name);

function installPackages() {
  if (existsSync(tool("tsdown")) && upToDate(["node_modules/.package-lock.json"], ["package-lock.json"])) return;
  // `npm ci` fails if the registry lacks optional packages of other platforms.
  run(
    "npm",
    ["install", "--no-save", "--no-audit", "--no-fund"],
    "npm needs access to a registry; see `npm config get registry`.",
  );
}

function compileLibrary() {
  if (upToDate(["dist/index.cjs", "dist/index.js"], ["lib", "binding/index.d.cts", "tsdown.config.ts", "package.json"]))
    return;
  rmSync(at("dist"), { recursive: true, force: true });
  run(tool("tsdown"), ["--logLevel", "warn"], "The message above names the line.");
}

async function obtainLibtorch() {
  const { findLibtorch, libtorchNotFound } = await import(pathToFileURL(at("dist", "libtorch.js")).href);
  const first = await findLibtorch(pinned, [series]);
  if (first.found) return first.found;
  if (process.env.ATTENTION_BYPASS_LIBTORCH) throw libtorchNotFound(pinned, first.attempts);
  let failure = "";
  try {
    run(process.execPath, [at("dist", "cli.js"), "setup", "--from", "pip", "--version", pinned, "--yes"], "");
  } catch (error) {
    failure = ` The download failed too: ${error.message}`;
  }
  const second = await findLibtorch(pinned, [series]);
  if (second.found) return second.found;
  throw new SetupError(libtorchNotFound(pinned, second.attempts).message + failure);
}

try {
  installPackages();
  compileLibrary();
  const libtorch = await obtainLibtorch();
  if (buildAddons(libtorch) !== 0) {
    throw new SetupError(
      "Compiling the addons failed. It needs CMake 3.20 and a C++20 compiler: on Debian, `apt-get install cmake ninja-build g++`.",
    );
  }
  console.log(`attention-bypass is ready, on libtorch ${libtorch.version} (${libtorch.origin}, ${libtorch.folder})`);
} catch (error) {
  console.error(`setup: ${error.message}`);
  process.exitCode = 1;
}
