import { constants } from "node:buffer";
import { readText } from "../data/text.js";
import { AttentionBypassError } from "../errors/errors.js";
import type { SweepResult } from "../sweep/result.js";

const purpose = { what: "the result of a sweep", code: "SWEEP_INVALID" } as const;

/** Reads what `sweep --json` wrote; who uses it says what it must have. Throws FILE_NOT_FOUND, SWEEP_INVALID. */
export async function readSweep(file: string): Promise<SweepResult> {
  // A sweep of many rows is longer than other texts may be.
  const text = await readText(file, purpose, { most: constants.MAX_STRING_LENGTH });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AttentionBypassError(
      "SWEEP_INVALID",
      `expected ${purpose.what} in ${file} but ${(error as Error).message}`,
    );
  }
}
