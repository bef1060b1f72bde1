// The libtorch to check on a device, and the addon for it.
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { addonFolder, buildAddons, pinned, pinnedSeries, versions } from "../compile.mjs";

const root = path.join(import.meta.dirname, "..", "..");

const hasCuda = ({ libraries }) => existsSync(path.join(libraries, "libtorch_cuda.so"));

/** That of set-up before newer ones, and these before older ones. */
const order = [pinnedSeries, ...Object.keys(versions).reverse()].filter((series, place, all) => {
  return all.indexOf(series) === place;
});

/** Finds with the package's cache out of sight, where a build for the CPU may hide Python's with CUDA. */
async function withoutCache(find) {
  const before = process.env.ATTENTION_BYPASS_CACHE;
  process.env.ATTENTION_BYPASS_CACHE = path.join(root, "native", "no-cache");
  try {
    return await find();
  } finally {
    if (before === undefined) delete process.env.ATTENTION_BYPASS_CACHE;
    else process.env.ATTENTION_BYPASS_CACHE = before;
  }
}

/** A libtorch of any series that the package supports; with CUDA where the device needs it. Throws in one line. */
export async function libtorchFor(device) {
  const dist = path.join(root, "dist", "libtorch.js");
  if (!existsSync(dist)) throw new Error("expected the compiled package in dist/ but found none; run `npm run setup`");
  const { findLibtorch, libtorchNotFound } = await import(pathToFileURL(dist).href);
  const { found: first, attempts } = await findLibtorch(pinned, order);
  if (device === "cpu" && first) return first;
  const seen = [];
  for (const series of order) {
    const find = () => findLibtorch(versions[series], [series]);
    for (const { found } of [await find(), await withoutCache(find)]) {
      if (found && hasCuda(found)) return found;
      if (found) seen.push(`${found.version} in ${found.folder}`);
    }
  }
  if (!first) throw libtorchNotFound(pinned, attempts);
  throw new Error(
    `expected a libtorch with libtorch_cuda.so for device "${device}" but found builds for the CPU alone ` +
      `(${[...new Set(seen)].join("; ")}); set ATTENTION_BYPASS_LIBTORCH to the torch folder of a PyTorch with CUDA`,
  );
}

/** Compiles the addon for a libtorch where need be. An addon that is there serves where there is no compiler. */
export function addonFor(libtorch, log) {
  if (buildAddons(libtorch, ["ignore", 2, 2]) === 0) return;
  const folder = addonFolder(libtorch.series);
  if (!["build", "prebuilds"].some((name) => existsSync(path.join(folder, name)))) {
    throw new Error(`compiling the addon for libtorch ${libtorch.version} failed, and there is none that is built`);
  }
  log(`compiling the addon failed; the one in native/${path.basename(folder)} is taken as it is`);
}
