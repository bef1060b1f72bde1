// The libtorch to check on a device, and the addon for it.
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { addonFolder, buildAddons, pinned, versions } from "../compile.mjs";

const root = path.join(import.meta.dirname, "..", "..");

const supported = Object.keys(versions);

/** A libtorch of any series that the package supports; with CUDA where the device needs it. Throws in one line. */
export async function libtorchFor(device) {
  const dist = path.join(root, "dist", "libtorch.js");
  if (!existsSync(dist)) throw new Error("expected the compiled package in dist/ but found none; run `npm run setup`");
  const { findLibtorch, libtorchNotFound } = await import(pathToFileURL(dist).href);
  const wantsCuda = device !== "cpu";
  const { found, attempts } = await findLibtorch(pinned, supported, wantsCuda);
  if (!found) throw libtorchNotFound(pinned, attempts);
  if (found.cuda || !wantsCuda) return found;
  throw new Error(
    `expected a libtorch with libtorch_cuda.so for device "${device}" but found builds for the CPU alone, such as ` +
      `${found.version} in ${found.folder}; set ATTENTION_BYPASS_LIBTORCH to the torch folder of a PyTorch with CUDA`,
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
