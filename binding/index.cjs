// The way from JavaScript to the native parts: where they are built or prebuilt, and nothing more.
// One folder for each series of libtorch, since an addon fits the series that it was built with alone.
const { readdirSync } = require("node:fs");
const path = require("node:path");

const root = path.join(__dirname, "..");
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
