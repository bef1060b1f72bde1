// Finds and loads the native addons, built or prebuilt. There is a folder for each series of libtorch: an addon works
// only with the series that it was compiled for.
const { existsSync, readdirSync } = require("node:fs");
const { createRequire } = require("node:module");
const path = require("node:path");

/** The folder of this file. Bundlers may move it or leave __dirname undefined. */
const here = typeof __dirname === "string" ? __dirname : path.resolve(process.argv[1] ?? ".", "..");

/** The package's folder as a program in `folder` would resolve it, for bundles that contain this file. */
function installedFor(folder) {
  try {
    return path.dirname(createRequire(path.join(folder, "program.js")).resolve("attention-bypass/package.json"));
  } catch {
    return undefined;
  }
}

function findRoot() {
  const own = process.env.ATTENTION_BYPASS_ROOT;
  if (own) return path.resolve(own);
  const above = path.join(here, "..");
  if (existsSync(path.join(above, "binding", "index.cjs"))) return above;
  return installedFor(here) ?? installedFor(process.cwd()) ?? above;
}

const root = findRoot();
const native = path.join(root, "native");

// Required when an addon is loaded, so that importing this package is fast.
const load = (folder) => require("node-gyp-build")(folder);

exports.root = root;

/** The series of libtorch with an addon, such as "2.13". */
exports.series = () => {
  try {
    return readdirSync(native)
      .filter((name) => name.startsWith("torch-"))
      .map((name) => name.slice("torch-".length));
  } catch {
    return [];
  }
};

/** Loads the preload addon, which opens shared libraries before the addon needs them. */
exports.loadPreload = () => load(path.join(native, "preload"));

/** Loads the addon. Its libtorch must be open. */
exports.loadAddon = (series) => load(path.join(native, `torch-${series}`));
