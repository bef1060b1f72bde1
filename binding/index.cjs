// The way from JavaScript to the native parts: where they are built or prebuilt, and nothing more.
// One folder for each series of libtorch, since an addon fits the series that it was built with alone.
const { existsSync, readdirSync } = require("node:fs");
const { createRequire } = require("node:module");
const path = require("node:path");

/** Where this file is; a bundler puts it elsewhere, or leaves no name for it. */
const here = typeof __dirname === "string" ? __dirname : path.resolve(process.argv[1] ?? ".", "..");

/** The package's folder if a program in that folder would import it, even if this file is in a bundle. */
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

// Required with the first load alone, so that importing this package is quick.
const load = (folder) => require("node-gyp-build")(folder);

exports.root = root;

/** The series ("2.13") of libtorch that there are addons for. */
exports.series = () => {
  try {
    return readdirSync(native)
      .filter((name) => name.startsWith("torch-"))
      .map((name) => name.slice("torch-".length));
  } catch {
    return [];
  }
};

/** Opens shared libraries for the addon that comes after. */
exports.loadPreload = () => load(path.join(native, "preload"));

/** The addon; its libtorch must have been opened. */
exports.loadAddon = (series) => load(path.join(native, `torch-${series}`));
