// The Python with the reference implementation that tests and benchmarks compare with, and with the tools for C++:
// a virtual environment in .cache/, made of test/requirements.txt. Prints its interpreter.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "..");
const folder = path.join(root, ".cache", "python");
const requirements = path.join(root, "test", "requirements.txt");
const stamp = path.join(folder, "requirements.txt");

const interpreter = path.join(folder, "bin", "python");

/** The interpreter, where it has been made. */
export function existingPython() {
  const made = existsSync(stamp) && readFileSync(stamp, "utf8") === readFileSync(requirements, "utf8");
  return made ? interpreter : undefined;
}

/** The interpreter; made where it is missing. Undefined, with the reason on stderr, where that does not work. */
export function referencePython() {
  if (existingPython()) return interpreter;
  const run = (command, args) => spawnSync(command, args, { stdio: ["ignore", 2, 2] }).status === 0;
  rmSync(folder, { recursive: true, force: true });
  const made =
    run(process.env.ATTENTION_BYPASS_PYTHON ?? "python3", ["-m", "venv", folder]) &&
    run(interpreter, ["-m", "pip", "install", "--quiet", "-r", requirements]);
  if (!made) return undefined;
  writeFileSync(stamp, readFileSync(requirements));
  return interpreter;
}

if (process.argv[1] === import.meta.filename) {
  const interpreter = referencePython();
  if (interpreter) console.log(interpreter);
  else process.exitCode = 1;
}
