// Models that `convert` wrote, in Python.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { Test } from "tap";
import { readFloats } from "./fixtures.ts";
import { reference } from "./python.ts";

/** The tokens that Python generates after each row. */
export const newTokens = 4;

/** Asserts that numbers differ by at most this share of the largest one. */
export function close(
  t: Test,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  name: string,
) {
  let largest = 0;
  let off = actual.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  for (let index = 0; index < expected.length; index++) {
    largest = Math.max(largest, Math.abs(expected[index] as number));
    const distance = Math.abs((expected[index] as number) - (actual[index] as number));
    if (!(distance <= off)) off = distance;
  }
  t.ok(off <= tolerance * largest, `${name}: off by ${off} of ${largest}`);
}

/** What transformers, or PyTorch for an archive, has and computes. */
export interface Loaded {
  greedy: number[][];
  problems: string[];
  tied: boolean | null;
  ids: number[] | null;
}

/** A written model, and rows to run it on. */
export interface Written {
  path: string;
  rows: number[][];
  /** For the tokenizer. */
  text?: string;
}

/** Runs written models in Python, all in one process. */
export async function inPython(interpreter: string, folder: string, written: readonly Written[]) {
  const models = written.map((one) => ({ ...one, logits: `${one.path}.logits` }));
  const request = path.join(folder, "request.json");
  await writeFile(request, JSON.stringify({ new_tokens: newTokens, models }));
  const loaded = await reference<Loaded[]>(interpreter, "written_models.py", [request]);
  return loaded.map((one, index) => ({ ...one, logits: readFloats((models[index] as { logits: string }).logits) }));
}
