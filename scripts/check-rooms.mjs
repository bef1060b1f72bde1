// Checks that the folders of src/ include only what lies below them, and that each has its line in src/README.md:
//   node scripts/check-rooms.mjs
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const source = path.join(import.meta.dirname, "..", "src");

/** What each folder may include, besides itself. */
const allowed = {
  base: [],
  weights: ["base"],
  model: ["base", "weights"],
  forward: ["base", "model"],
  head: ["base", "model"],
  decode: ["base", "forward", "head", "model"],
  score: ["base", "decode", "forward", "head", "model"],
  measure: ["base", "forward", "model"],
  trace: ["base", "forward"],
};

const folders = readdirSync(source, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const faults = [];
const described = readFileSync(path.join(source, "README.md"), "utf8");
for (const folder of folders) {
  if (!Object.hasOwn(allowed, folder)) faults.push(`src/${folder} is not among the folders of scripts/check-rooms.mjs`);
  if (!described.includes(`\`${folder}/\``)) faults.push(`src/README.md does not say what src/${folder} is for`);
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
