import { constants } from "node:buffer";
import { readText } from "../data/text.js";
import { AttentionBypassError } from "../errors/errors.js";
import type { SweepResult } from "../sweep/result.js";

const purpose = { what: "the result of a sweep", code: "SWEEP_INVALID" } as const;

/** Reads the JSON result of a sweep. Callers check its content. Throws FILE_NOT_FOUND, SWEEP_INVALID. */
export async function readSweep(file: string): Promise<SweepResult> {
  // The result of a sweep with many rows may be longer than the limit for other texts.
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
