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

/** Runs a script of test/reference and reads the JSON that it prints. */
export async function reference<Result>(interpreter: string, script: string, args: readonly string[]): Promise<Result> {
  const file = path.join(import.meta.dirname, "..", "reference", script);
  const { stdout } = await promisify(execFile)(interpreter, [file, ...args], { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout) as Result;
}
