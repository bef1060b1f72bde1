// Sets up what is missing, then runs tap; arguments go to tap. The Python that results are compared with, and what
// executes notebooks, are made here and not by the tests, which run side by side; where they can't be had, the tests
// that need them are skipped.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { notebookPython } from "./notebook.mjs";
import { referencePython } from "./python.mjs";

const root = path.join(import.meta.dirname, "..");
const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: "inherit" }).status ?? 1;

function test() {
  referencePython();
  notebookPython();
  return run(path.join(root, "node_modules", ".bin", "tap"), process.argv.slice(2));
}

process.exitCode = run(process.execPath, [path.join(root, "scripts", "setup.mjs")]) || test();
