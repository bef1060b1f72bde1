// Prepares batches for clang-tidy, which spends nearly all its time on libtorch's headers: .cache/lint/ gets files that
// include several sources each, and the commands that compile them. Prints the paths of these files. Sources of a batch
// see each other's anonymous namespaces, so a name that two of them define ("redefinition of ...") must be changed in one.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "..");
const folder = path.join(root, ".cache", "lint");
const batchSize = 12;

/** How a source is compiled, without what only the compiler of the build knows and without the source itself. */
function flagsOf({ command }) {
  return command
    .replace(/ -o \S+ -c \S+$/, "")
    .replace(/ -include \S*cmake_pch\.hxx/, "")
    .replace(/ -Winvalid-pch| -ffunction-sections| -D\S+_EXPORTS| -O\d/g, "")
    .replace(/ -fopenmp /, " -fopenmp-simd ")
    .concat(" -Wno-unknown-warning-option");
}

/** misc-unused-using-decls and misc-unused-alias-decls report nothing from an included file. */
const mustBeAlone = (name) => /^\s*(using [\w:]+;|namespace \w+ = )/m.test(readFileSync(path.join(root, name), "utf8"));

/** The sources that a command compiles: itself, or those of the batch that it compiles. */
function sourcesOf(file) {
  if (/\.cpp$/.test(file)) return [file];
  return Array.from(readFileSync(file, "utf8").matchAll(/^#include "(.+\.cpp)"$/gm), ([, source]) => source);
}

const sources = new Map();
for (const entry of JSON.parse(readFileSync(path.join(root, "build", "compile_commands.json"), "utf8"))) {
  for (const file of sourcesOf(entry.file)) {
    const name = path.relative(root, file);
    // A source that several addons contain is checked once.
    if (/^(src|binding)\//.test(name)) sources.set(name, flagsOf(entry));
  }
}

const database = [];
function add(file, flags) {
  database.push({ directory: folder, file, command: `${flags} -c ${file}` });
  console.log(file);
}

function addBatch(names, flags) {
  // clang's analyzer follows paths through functions of included sources only if the file is called so.
  const file = path.join(folder, `UnifiedSource-${database.length + 1}.cpp`);
  const include = (name) => `#include "${path.join(root, name)}"  // NOLINT(bugprone-suspicious-include)\n`;
  writeFileSync(file, names.map(include).join(""));
  add(file, flags);
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const flags of new Set(sources.values())) {
  const names = [...sources.keys()].filter((name) => sources.get(name) === flags).sort();
  for (const name of names.filter(mustBeAlone)) add(path.join(root, name), flags);
  const together = names.filter((name) => !mustBeAlone(name));
  const count = Math.ceil(together.length / batchSize);
  for (let batch = 0; batch < count; batch++) {
    // Neighbours by name, such as two families of models, often use the same names, so they go to different batches.
    addBatch(
      together.filter((_, index) => index % count === batch),
      flags,
    );
  }
}
writeFileSync(path.join(folder, "compile_commands.json"), JSON.stringify(database, null, 2));
