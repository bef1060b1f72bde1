// Compiles both addons against a libtorch, into native/ where node-gyp-build looks for them.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "..");

/** The version of libtorch that set-up builds with, and its series. */
export const pinned = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")).config.libtorch;
export const pinnedSeries = pinned.split(".").slice(0, 2).join(".");

/** The newest version of each series of libtorch that addons are made for. */
export const versions = { 2.11: "2.11.0", 2.12: "2.12.1", 2.13: "2.13.0" };

/** The folder of the addon for a series of libtorch, such as "2.13". */
export const addonFolder = (series) => path.join(root, "native", `torch-${series}`);
export const preloadFolder = path.join(root, "native", "preload");

/** When a file, or the newest file in a folder, was last written; 0 where there is none. */
function newest(place) {
  if (!existsSync(place)) return 0;
  const found = statSync(place);
  if (!found.isDirectory()) return found.mtimeMs;
  return Math.max(0, ...readdirSync(place).map((name) => newest(path.join(place, name))));
}

/** Whether all results are there and newer than all that they are made of. */
export function upToDate(results, sources) {
  const written = (name) => newest(path.resolve(root, name));
  return Math.min(...results.map(written)) > Math.max(...sources.map(written));
}

/** CMake goes on writing to where its cache was made, so what was copied or moved with a clone can't be taken over. */
function forgetOtherClone(folder) {
  const cache = path.join(folder, "CMakeCache.txt");
  if (!existsSync(cache)) return;
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, "utf8"))?.[1];
  if (home !== realpathSync(root)) rmSync(folder, { recursive: true, force: true });
}

/** Returns cmake-js's exit code. Each series keeps what it has compiled in a folder of its own. */
export function compileAddons(libtorch, series, stdio = "inherit", more = []) {
  const folder = series === pinnedSeries ? "build" : `build-${series}`;
  forgetOtherClone(path.join(root, folder));
  const warnings = process.env.CI === "true" ? ["--CDWARNINGS_AS_ERRORS=ON"] : [];
  const definitions = [`--CDLIBTORCH=${libtorch}`, `--CDLIBTORCH_SERIES=${series}`, ...warnings, ...more];
  const cmakeJs = path.join(root, "node_modules", ".bin", "cmake-js");
  const { status } = spawnSync(cmakeJs, ["compile", "--out", folder, ...definitions], { cwd: root, stdio });
  return status ?? 1;
}

/** Compiles both addons where they are missing, older than their sources, or made for another libtorch. */
export function buildAddons({ folder, series }, stdio = "inherit") {
  const stamp = path.join(addonFolder(series), "libtorch.txt");
  const addons = [
    path.join(addonFolder(series), "build", "Release", "attention-bypass.node"),
    path.join(preloadFolder, "build", "Release", "preload.node"),
  ];
  const sources = ["src", "binding", "CMakeLists.txt", "package-lock.json"];
  const built = existsSync(stamp) && readFileSync(stamp, "utf8") === folder;
  if (built && upToDate([...addons, stamp], sources)) return 0;
  const status = compileAddons(folder, series, stdio);
  if (status === 0) writeFileSync(stamp, folder);
  return status;
}
