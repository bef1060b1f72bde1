// Compiles both addons for a libtorch, into native/, where node-gyp-build looks for them.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "..");

/** The version of libtorch that setup uses, and its series. */
export const pinned = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")).config.libtorch;
export const pinnedSeries = pinned.split(".").slice(0, 2).join(".");

/** The newest version of each supported series of libtorch. */
export const versions = { 2.11: "2.11.0", 2.12: "2.12.1", 2.13: "2.13.0" };

/** The folder of the addon for a series of libtorch, such as "2.13". */
export const addonFolder = (series) => path.join(root, "native", `torch-${series}`);
export const preloadFolder = path.join(root, "native", "preload");

/** The modification time of a file, or of the newest file in a folder; 0 if there is none. */
function newest(place) {
  if (!existsSync(place)) return 0;
  const found = statSync(place);
  if (!found.isDirectory()) return found.mtimeMs;
  return Math.max(0, ...readdirSync(place).map((name) => newest(path.join(place, name))));
}

/** Whether all results exist and are newer than all their sources. */
export function upToDate(results, sources) {
  const written = (name) => newest(path.resolve(root, name));
  return Math.min(...results.map(written)) > Math.max(...sources.map(written));
}

/** Deletes a build folder from another clone: CMake continues to write to the folder where its cache was created. */
function forgetOtherClone(folder) {
  const cache = path.join(folder, "CMakeCache.txt");
  if (!existsSync(cache)) return;
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, "utf8"))?.[1];
  if (home !== realpathSync(root)) rmSync(folder, { recursive: true, force: true });
}

/** Compiles the addons and returns the exit code of cmake-js. Each series has its own build folder. */
export function compileAddons(libtorch, series, stdio = "inherit", more = []) {
  const folder = series === pinnedSeries ? "build" : `build-${series}`;
  forgetOtherClone(path.join(root, folder));
  const warnings = process.env.CI === "true" ? ["--CDWARNINGS_AS_ERRORS=ON"] : [];
  const definitions = [`--CDLIBTORCH=${libtorch}`, `--CDLIBTORCH_SERIES=${series}`, ...warnings, ...more];
  const cmakeJs = path.join(root, "node_modules", ".bin", "cmake-js");
  const { status } = spawnSync(cmakeJs, ["compile", "--out", folder, ...definitions], { cwd: root, stdio });
  return status ?? 1;
}

const stampOf = (series) => path.join(addonFolder(series), "libtorch.txt");

/** Returns whether both addons exist, are newer than their sources, and were compiled for this libtorch. */
export function addonsBuilt({ folder, series }) {
  const stamp = stampOf(series);
  const addons = [
    path.join(addonFolder(series), "build", "Release", "attention-bypass.node"),
    path.join(preloadFolder, "build", "Release", "preload.node"),
  ];
  const sources = ["src", "binding", "CMakeLists.txt", "package-lock.json"];
  return existsSync(stamp) && readFileSync(stamp, "utf8") === folder && upToDate([...addons, stamp], sources);
}

/** Compiles both addons if they are missing, older than their sources, or compiled for another libtorch. */
export function buildAddons({ folder, series }, stdio = "inherit") {
  if (addonsBuilt({ folder, series })) return 0;
  const status = compileAddons(folder, series, stdio);
  if (status === 0) writeFileSync(stampOf(series), folder);
  return status;
}
