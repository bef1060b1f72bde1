// Checks that each folder of src/ includes only allowed folders, and that the README of src/ and lib/ describes each of its
// folders. .dependency-cruiser.mjs has the rules for the imports of lib/.
//   node scripts/check-rooms.mjs
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { rooms } from "../.dependency-cruiser.mjs";

const root = path.join(import.meta.dirname, "..");
const source = path.join(root, "src");

/** The folders that each folder may include, in addition to itself. */
const allowed = {
  base: [],
  weights: ["base"],
  product: ["base"],
  model: ["base", "product", "weights"],
  forward: ["base", "model"],
  head: ["base", "model", "product"],
  decode: ["base", "forward", "head", "model"],
  score: ["base", "decode", "forward", "head", "model"],
  measure: ["base", "forward", "head", "model", "product", "score"],
  trace: ["base", "forward"],
};

const foldersOf = (folder) =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

/** Returns a fault for each folder of a layer that its README does not describe. */
function undescribed(layer) {
  const text = readFileSync(path.join(root, layer, "README.md"), "utf8");
  return foldersOf(path.join(root, layer))
    .filter((folder) => !text.includes(`\`${folder}/\``))
    .map((folder) => `${layer}/README.md does not describe ${layer}/${folder}`);
}

const faults = [...undescribed("src"), ...undescribed("lib")];
for (const folder of foldersOf(path.join(root, "lib"))) {
  if (folder !== "cli" && !rooms.includes(folder))
    faults.push(`lib/${folder} is not among the folders of .dependency-cruiser.mjs`);
}
for (const folder of foldersOf(source)) {
  if (!Object.hasOwn(allowed, folder)) faults.push(`src/${folder} is not among the folders of scripts/check-rooms.mjs`);
  for (const file of readdirSync(path.join(source, folder))) {
    const text = readFileSync(path.join(source, folder, file), "utf8");
    for (const [, target] of text.matchAll(/^#include "([a-z]+)\//gm)) {
      if (target === folder || allowed[folder]?.includes(target)) continue;
      faults.push(`src/${folder}/${file} includes from ${target}/, which src/${folder} may not`);
    }
    if (/^#include "(napi|node_api)/m.test(text)) faults.push(`src/${folder}/${file} includes Node-API`);
  }
}
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;
