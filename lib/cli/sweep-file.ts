import { readFile } from "node:fs/promises";
import { AttentionBypassError, systemCode } from "../errors.js";
import type { SweepResult } from "../sweep.js";

/** What `sweep --json` wrote; who uses it says what it must have. Throws FILE_NOT_FOUND, SWEEP_INVALID. */
export async function readSweep(file: string): Promise<SweepResult> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    const code = systemCode(error) === "ENOENT" ? "FILE_NOT_FOUND" : "SWEEP_INVALID";
    throw new AttentionBypassError(code, `expected the result of a sweep in ${file} but ${(error as Error).message}`);
  }
}
