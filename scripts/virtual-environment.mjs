// Creates a Python virtual environment from a requirements file, once.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const interpreterOf = (folder) => path.join(folder, "bin", "python");
const stampOf = (folder) => path.join(folder, "requirements.txt");

/** The interpreter; undefined if the environment does not exist or has other requirements. */
export function existingEnvironment(folder, requirements) {
  const stamp = stampOf(folder);
  const made = existsSync(stamp) && readFileSync(stamp, "utf8") === readFileSync(requirements, "utf8");
  return made ? interpreterOf(folder) : undefined;
}

/** The interpreter of the environment, which is created if it does not exist. Undefined, with the reason on stderr, if that fails. */
export function virtualEnvironment(folder, requirements) {
  if (existingEnvironment(folder, requirements)) return interpreterOf(folder);
  const run = (command, args) => spawnSync(command, args, { stdio: ["ignore", 2, 2] }).status === 0;
  rmSync(folder, { recursive: true, force: true });
  const made =
    run(process.env.ATTENTION_BYPASS_PYTHON ?? "python3", ["-m", "venv", folder]) &&
    run(interpreterOf(folder), ["-m", "pip", "install", "--quiet", "-r", requirements]);
  if (!made) return undefined;
  writeFileSync(stampOf(folder), readFileSync(requirements));
  return interpreterOf(folder);
}
