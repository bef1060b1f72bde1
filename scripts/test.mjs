// Sets up what is missing, then runs tap; arguments go to tap.
import { spawnSync } from "node:child_process";
import path from "node:path";

const root = path.join(import.meta.dirname, "..");
const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: "inherit" }).status ?? 1;

process.exitCode =
  run(process.execPath, [path.join(root, "scripts", "setup.mjs")]) ||
  run(path.join(root, "node_modules", ".bin", "tap"), process.argv.slice(2));
