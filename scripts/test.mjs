// Sets up what is missing, then runs tap; arguments go to tap. The Python that results are compared with is made here
// and not by the tests, which run side by side; where it can't be had, those that need it are skipped.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { referencePython } from "./python.mjs";

const root = path.join(import.meta.dirname, "..");
const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: "inherit" }).status ?? 1;

function test() {
  referencePython();
  return run(path.join(root, "node_modules", ".bin", "tap"), process.argv.slice(2));
}

process.exitCode = run(process.execPath, [path.join(root, "scripts", "setup.mjs")]) || test();
