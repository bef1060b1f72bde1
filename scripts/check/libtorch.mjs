// Finds the libtorch for the checks on a device, and compiles the addon for it.
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { addonFolder, buildAddons, pinned, versions } from "../compile.mjs";

const root = path.join(import.meta.dirname, "..", "..");

const supported = Object.keys(versions);

/** Finds a libtorch of any supported series, with CUDA if the device needs it. Throws an error of one line. */
export async function libtorchFor(device) {
  const dist = path.join(root, "dist", "libtorch.js");
  if (!existsSync(dist)) throw new Error("expected the compiled package in dist/ but found none; run `npm run setup`");
  const { findLibtorch, libtorchNotFound } = await import(pathToFileURL(dist).href);
  const wantsCuda = device !== "cpu";
  const { found, attempts } = await findLibtorch(pinned, supported, wantsCuda);
  if (!found) throw libtorchNotFound(pinned, attempts);
  if (found.cuda || !wantsCuda) return found;
  throw new Error(
    `expected a libtorch with libtorch_cuda.so for device "${device}" but found only CPU builds, such as ` +
      `${found.version} in ${found.folder}; set ATTENTION_BYPASS_LIBTORCH to the torch folder of a PyTorch with CUDA`,
  );
}

/** Compiles the addon for a libtorch if necessary. If there is no compiler, uses an existing addon. */
export function addonFor(libtorch, log) {
  if (buildAddons(libtorch, ["ignore", 2, 2]) === 0) return;
  const folder = addonFolder(libtorch.series);
  if (!["build", "prebuilds"].some((name) => existsSync(path.join(folder, name)))) {
    throw new Error(`compiling the addon for libtorch ${libtorch.version} failed, and there is no compiled addon`);
  }
  log(`compiling the addon failed; using the one in native/${path.basename(folder)}`);
}
