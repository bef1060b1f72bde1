import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { type Outcome, runCommand } from "./child.ts";

/** Why nothing can be made to fail here; false where it can. */
export const nothingFails = existsSync("/usr/bin/c++") ? false : "there is no C++ compiler";

/** What a script needs to say what fails: `failAllocation(n)`, `failed()` and `diskHolds(bytes)`. */
const controls = `
import { openSync as openState, readSync as readState, writeSync as writeState } from "node:fs";
const state = openState(process.env.FAILING_STATE, "r+");
const set = (place, value) => {
  const field = Buffer.alloc(8);
  field.writeBigInt64LE(BigInt(value));
  writeState(state, field, 0, 8, 8 * place);
};
const get = (place) => {
  const field = Buffer.alloc(8);
  readState(state, field, 0, 8, 8 * place);
  return Number(field.readBigInt64LE());
};
const failAllocation = (which) => { set(1, 0); set(0, which); };
const failed = () => { set(0, 0); return get(1); };
const diskHolds = (bytes) => set(2, bytes);
`;

/**
 * Runs a module in a process where the memory of tensors, and the room for what is written to a folder, run out when it
 * says so. It is given that folder as its last argument.
 */
export async function runFailing(source: string, folder: string): Promise<Outcome> {
  const library = path.join(folder, "failing.so");
  const code = path.join(import.meta.dirname, "failing.cpp");
  if (!existsSync(library)) execFileSync("c++", ["-shared", "-fPIC", "-O1", "-o", library, code, "-ldl"]);
  const state = path.join(folder, "state");
  await writeFile(state, Buffer.alloc(4096));
  const output = path.join(folder, "output");
  const command = [process.execPath, "--input-type=module", "--eval", controls + source, "--", output];
  return runCommand(command, {
    env: { ...process.env, LD_PRELOAD: library, FAILING_STATE: state, FAILING_FOLDER: output, UV_USE_IO_URING: "0" },
  });
}
