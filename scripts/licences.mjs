// Collects the licences of the code that is compiled into the addons, in native/licenses/.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "..");

/** Finds PyTorch's licence: next to the libraries that `setup` downloads, or in the folder of pip's package metadata. */
function libtorchLicence(libtorch) {
  const parent = path.dirname(libtorch);
  const folders = [
    path.join(libtorch, "licenses"),
    ...readdirSync(parent)
      .filter((name) => /^torch-.*\.dist-info$/.test(name))
      .map((name) => path.join(parent, name)),
  ];
  return folders
    .flatMap((folder) => [folder, path.join(folder, "licenses")])
    .find((folder) => existsSync(path.join(folder, "LICENSE")));
}

/** Copies the licences. Throws if PyTorch's licence is missing: the addons must not be distributed without it. */
export function collectLicences(libtorch) {
  const target = path.join(root, "native", "licenses");
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const folder = libtorchLicence(libtorch);
  if (folder === undefined) throw new Error(`expected PyTorch's LICENSE next to ${libtorch} but it was not found`);
  cpSync(path.join(folder, "LICENSE"), path.join(target, "libtorch.txt"));
  for (const [name, file] of [
    ["node-addon-api", "LICENSE.md"],
    ["node-api-headers", "LICENSE"],
  ]) {
    cpSync(path.join(root, "node_modules", name, file), path.join(target, `${name}.txt`));
  }
}
