// Executes a notebook with Jupyter and the tslab kernel and writes the executed copy:
// node scripts/notebook.mjs examples/notebook.ipynb --output executed.ipynb [--folder FOLDER]
// FOLDER is a folder in which attention-bypass is installed; the default uses this repository. Jupyter and tslab are installed
// once, in .cache/notebook. Nothing is written to other places.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { existingEnvironment, virtualEnvironment } from "./virtual-environment.mjs";

const root = path.join(import.meta.dirname, "..");
const at = (...names) => path.join(root, ".cache", "notebook", ...names);

const where = [at("python"), path.join(root, "test", "notebook-requirements.txt")];
const wanted = "tslab@1.0.22";
const tslab = at("tslab", "lib", "node_modules", "tslab", "bin", "tslab");
const stamp = at("tslab", "version.txt");

function existingTslab() {
  return existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
}

function installTslab() {
  if (existingTslab()) return true;
  rmSync(at("tslab"), { recursive: true, force: true });
  mkdirSync(at("tslab"), { recursive: true });
  // tslab finds its types of Node.js only if it is installed globally. Its ZeroMQ contains a prebuilt binary.
  const args = ["install", "--global", "--prefix", at("tslab"), "--ignore-scripts", "--no-audit", "--no-fund", wanted];
  if (spawnSync("npm", args, { stdio: ["ignore", 2, 2] }).status !== 0) return false;
  writeFileSync(stamp, wanted);
  return true;
}

/** The Python of the notebook environment; undefined if it or tslab is not installed. */
export const existingNotebookPython = () => (existingTslab() ? existingEnvironment(...where) : undefined);

/** The same, but installs what is missing. Undefined, with the reason on stderr, if that fails. */
export const notebookPython = () => (installTslab() ? virtualEnvironment(...where) : undefined);

/** Creates Jupyter's folders with the tslab kernel, and returns the environment variables that select them. */
function jupyterFolders() {
  const kernel = at("jupyter", "kernels", "tslab");
  const argv = [process.execPath, tslab, "kernel", "--config-path", "{connection_file}"];
  mkdirSync(kernel, { recursive: true });
  writeFileSync(
    path.join(kernel, "kernel.json"),
    JSON.stringify({ argv, display_name: "TypeScript", language: "typescript" }),
  );
  const data = at("jupyter");
  return { JUPYTER_PATH: data, JUPYTER_DATA_DIR: data, JUPYTER_CONFIG_DIR: path.join(data, "config") };
}

/** Creates a folder in which this repository is installed. */
function ownFolder() {
  const folder = at("clone");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(path.join(folder, "node_modules"), { recursive: true });
  writeFileSync(path.join(folder, "package.json"), '{ "private": true }');
  symlinkSync(root, path.join(folder, "node_modules", "attention-bypass"));
  return folder;
}

function execute(notebook, output, folder = ownFolder()) {
  const python = notebookPython();
  if (python === undefined)
    throw new Error("expected to install nbclient with pip and tslab with npm but one of them failed");
  const script = path.join(import.meta.dirname, "notebook.py");
  const env = { ...process.env, ...jupyterFolders() };
  return spawnSync(python, [script, notebook, output, folder], { stdio: "inherit", env }).status ?? 1;
}

if (process.argv[1] === import.meta.filename) {
  const options = { output: { type: "string" }, folder: { type: "string" } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (positionals.length !== 1 || values.output === undefined) {
    console.error("usage: node scripts/notebook.mjs NOTEBOOK --output EXECUTED [--folder FOLDER]");
    process.exitCode = 2;
  } else {
    process.exitCode = execute(positionals[0], values.output, values.folder);
  }
}
