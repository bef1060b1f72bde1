// Compiles both addons against a libtorch, into native/ where node-gyp-build looks for them.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "..");

/** The version of libtorch that set-up builds with, and its series. */
export const pinned = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")).config.libtorch;
export const pinnedSeries = pinned.split(".").slice(0, 2).join(".");

/** The folder of the addon for a series of libtorch, such as "2.13". */
export const addonFolder = (series) => path.join(root, "native", `torch-${series}`);
export const preloadFolder = path.join(root, "native", "preload");

/** Returns cmake-js's exit code. Each series keeps what it has compiled in a folder of its own. */
export function compileAddons(libtorch, series) {
  const folder = series === pinnedSeries ? "build" : `build-${series}`;
  const warnings = process.env.CI === "true" ? ["--CDWARNINGS_AS_ERRORS=ON"] : [];
  const definitions = [`--CDLIBTORCH=${libtorch}`, `--CDLIBTORCH_SERIES=${series}`, ...warnings];
  const cmakeJs = path.join(root, "node_modules", ".bin", "cmake-js");
  const { status } = spawnSync(cmakeJs, ["compile", "--out", folder, ...definitions], { cwd: root, stdio: "inherit" });
  return status ?? 1;
}
