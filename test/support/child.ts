import { spawn } from "node:child_process";
import path from "node:path";

export const root = path.join(import.meta.dirname, "..", "..");

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** How a command is run. */
export interface Surroundings {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Milliseconds after which it is killed. */
  timeout?: number;
}

/**
 * Arguments of env for a command without what the test runner puts into the NODE_OPTIONS of every process: a loader of its
 * own, which more than doubles what it takes to start one.
 */
export const plainly = (...command: readonly string[]): string[] => ["-u", "NODE_OPTIONS", ...command];

/** Runs a command to its end. */
export function runCommand(
  command: readonly string[],
  { cwd = root, env = process.env, timeout = 240_000 }: Surroundings = {},
): Promise<Outcome> {
  const child = spawn("env", plainly(...command), { cwd, env, timeout, killSignal: "SIGKILL" });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** Runs an ECMAScript module, given as text, in a process of its own that can import the package. */
export function runScript(source: string, args: string[] = [], flags: string[] = []): Promise<Outcome> {
  return runCommand([process.execPath, ...flags, "--input-type=module", "--eval", source, "--", ...args]);
}
