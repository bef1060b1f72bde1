// Sets up what is missing, then runs tap; arguments go to tap, and --quick stands for the quick tests. The Python that
// results are compared with, and what executes notebooks, are made here and not by the tests, which run side by side;
// where they can't be had, the tests that need them are skipped.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { notebookPython } from "./notebook.mjs";
import { referencePython } from "./python.mjs";
import { quickTests } from "./quick-tests.mjs";

const root = path.join(import.meta.dirname, "..");
const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: "inherit" }).status ?? 1;

function test() {
  referencePython();
  notebookPython();
  const args = process.argv.slice(2).flatMap((argument) => (argument === "--quick" ? quickTests() : argument));
  return run(path.join(root, "node_modules", ".bin", "tap"), args);
}

process.exitCode = run(process.execPath, [path.join(root, "scripts", "setup.mjs")]) || test();
