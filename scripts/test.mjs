// Runs setup, then tap with the given arguments; --quick selects the quick tests. Creates the Python environments for
// reference results and notebooks here, because the tests run in parallel. If an environment cannot be created, the tests
// that need it are skipped.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { notebookPython } from "./notebook.mjs";
import { makeOlderLibtorch } from "./older-libtorch.mjs";
import { referencePython } from "./python.mjs";
import { quickTests } from "./quick-tests.mjs";

const root = path.join(import.meta.dirname, "..");
const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: "inherit" }).status ?? 1;

function test() {
  referencePython();
  notebookPython();
  // Takes minutes: a download of more than 1 GB, and the compilation of an addon.
  if (process.env.OLDER_LIBTORCH === "1" && makeOlderLibtorch() !== 0) return 1;
  const args = process.argv.slice(2).flatMap((argument) => (argument === "--quick" ? quickTests() : argument));
  return run(path.join(root, "node_modules", ".bin", "tap"), args);
}

process.exitCode = run(process.execPath, [path.join(root, "scripts", "setup.mjs")]) || test();
