// Builds stripped addons for `npm pack`, one for each series of libtorch: node scripts/prebuild.mjs [2.11 2.12 2.13].
// The default is the series that setup uses. libtorch of another series is downloaded to the cache first.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import prebuildify from "prebuildify";
import { addonFolder, pinnedSeries, preloadFolder, versions } from "./compile.mjs";
import { collectLicences } from "./licences.mjs";
import { newerThanOldest } from "./oldest-libraries.mjs";

const root = path.join(import.meta.dirname, "..");

const asked = process.argv.slice(2);
const unknown = asked.find((series) => !(series in versions));
if (unknown !== undefined) {
  console.error(`prebuild: expected series among ${Object.keys(versions).join(", ")} but received ${unknown}`);
  process.exit(2);
}

const { findLibtorch, libtorchNotFound } = await import(pathToFileURL(path.join(root, "dist", "libtorch.js")).href);

async function libtorchOf(series) {
  const version = versions[series];
  const first = await findLibtorch(version, [series]);
  if (first.found) return first.found;
  const setup = ["setup", "--version", version, "--from", "pip", "--yes"];
  spawnSync(process.execPath, [path.join(root, "dist", "cli.js"), ...setup], { stdio: "inherit" });
  const second = await findLibtorch(version, [series]);
  if (second.found) return second.found;
  throw libtorchNotFound(version, second.attempts);
}

/** Builds one addon with prebuildify, which calls cmake-js instead of node-gyp. */
async function prebuild(libtorch, series, addon, folder) {
  process.env.ATTENTION_BYPASS_PREBUILD = JSON.stringify({ libtorch, series, addon });
  await promisify(prebuildify)({
    cwd: root,
    out: folder,
    name: addon,
    napi: true,
    strip: true,
    tagLibc: "glibc",
    nodeGyp: path.join(import.meta.dirname, "cmake-js-as-node-gyp.mjs"),
    targets: [{ runtime: "node", target: process.versions.node }],
  });
  const built = path.join(folder, "prebuilds", `${process.platform}-${process.arch}`, `${addon}.glibc.node`);
  const newer = newerThanOldest(built);
  if (newer.length > 0) {
    throw new Error(
      `expected ${built} to have the same requirements as libtorch but it needs ${newer.join(", ")}; ` +
        "bind these to older versions in binding/older_libraries.cpp",
    );
  }
}

try {
  for (const series of asked.length > 0 ? asked : [pinnedSeries]) {
    const { folder } = await libtorchOf(series);
    await prebuild(folder, series, "attention-bypass", addonFolder(series));
    await prebuild(folder, series, "preload", preloadFolder);
    collectLicences(folder);
  }
} catch (error) {
  console.error(`prebuild: ${error.message}`);
  process.exitCode = 1;
}
