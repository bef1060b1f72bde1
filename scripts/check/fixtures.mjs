// The checkpoints with reference results of Hugging Face transformers: test/fixtures and shared/reference.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "..", "..");

/** The path of data in the repository or next to it; undefined if there is none. */
export function shared(...names) {
  const places = ["..", "."].map((where) => path.join(root, where, "shared", ...names));
  return places.find((place) => existsSync(place));
}

/** The largest difference in float32 as a share of the largest logit. Each setting of a fixture's config changes its logits by more
 * than the limit. The reference models are larger, so more rounding errors add up. */
const limits = { fixtures: 2e-5, reference: 2e-4 };

function checkpointsIn(folder, limit) {
  if (folder === undefined) return [];
  const names = readdirSync(folder).sort();
  return names.map((name) => ({ name, folder: path.join(folder, name), limit }));
}

/** One of each family, and a traced one. */
const quickNames = ["gpt2", "neo-types", "neox-serial", "traced-neox"];

export function checkpoints({ quick = false } = {}) {
  const fixtures = checkpointsIn(path.join(root, "test", "fixtures", "models"), limits.fixtures);
  if (quick) return fixtures.filter(({ name }) => quickNames.includes(name));
  return [...fixtures, ...checkpointsIn(shared("reference"), limits.reference)];
}

export const readExpected = (folder) => JSON.parse(readFileSync(path.join(folder, "expected.json"), "utf8"));

export function readFloats(file) {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

export function largestOf(values) {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  return largest;
}

/** The largest difference as a share of the largest value; NaN if a value is NaN or the sizes differ. */
export function difference(actual, expected) {
  if (actual.length !== expected.length) return Number.NaN;
  let off = 0;
  for (const [index, value] of expected.entries()) off = Math.max(off, Math.abs(value - actual[index]));
  return off / largestOf(expected);
}
