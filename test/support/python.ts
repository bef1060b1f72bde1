import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { existingPython } from "../../scripts/python.mjs";

/** The Python with torch and transformers; undefined where there is none, which CI does not accept. */
export function python(): string | undefined {
  const interpreter = existingPython();
  if (interpreter === undefined && process.env.CI === "true")
    throw new Error("expected Python with transformers on CI");
  return interpreter;
}

export const noPython = "there is no Python with transformers";

const scripts = path.join(import.meta.dirname, "..", "reference");
/** Two test files run at a time, and threads of several processes on few cores wait for each other. */
const env = { ...process.env, OMP_NUM_THREADS: "1" };

/**
 * Runs a script of test/reference once for each list of arguments, and reads the JSON that each run prints. All run in one
 * process, because importing transformers takes seconds.
 */
export async function references<Result>(
  interpreter: string,
  script: string,
  lists: readonly (readonly string[])[],
): Promise<Result[]> {
  const command = [path.join(scripts, "several.py"), path.resolve(scripts, script), JSON.stringify(lists)];
  const { stdout } = await promisify(execFile)(interpreter, command, { env, maxBuffer: 2 ** 26 });
  return JSON.parse(stdout) as Result[];
}

/** Runs a script of test/reference once and reads the JSON that it prints. */
export async function reference<Result>(interpreter: string, script: string, args: readonly string[]): Promise<Result> {
  const [result] = await references<Result>(interpreter, script, [args]);
  return result as Result;
}
