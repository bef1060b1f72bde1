// The licences of what the addons have compiled in, for native/licenses/.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "..");

/** PyTorch's licence: beside the libraries that `setup` brings, or where pip keeps what it knows of a package. */
function libtorchLicence(libtorch) {
  const beside = path.dirname(libtorch);
  const folders = [
    path.join(libtorch, "licenses"),
    ...readdirSync(beside)
      .filter((name) => /^torch-.*\.dist-info$/.test(name))
      .map((name) => path.join(beside, name)),
  ];
  return folders
    .flatMap((folder) => [folder, path.join(folder, "licenses")])
    .find((folder) => existsSync(path.join(folder, "LICENSE")));
}

/** Throws where PyTorch's licence is not there: without it the addons may not be passed on. */
export function collectLicences(libtorch) {
  const target = path.join(root, "native", "licenses");
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const folder = libtorchLicence(libtorch);
  if (folder === undefined) throw new Error(`expected PyTorch's LICENSE beside ${libtorch}`);
  cpSync(path.join(folder, "LICENSE"), path.join(target, "libtorch.txt"));
  for (const [name, file] of [
    ["node-addon-api", "LICENSE.md"],
    ["node-api-headers", "LICENSE"],
  ]) {
    cpSync(path.join(root, "node_modules", name, file), path.join(target, `${name}.txt`));
  }
}
