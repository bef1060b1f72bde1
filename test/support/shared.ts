import { existsSync } from "node:fs";
import path from "node:path";

const root = path.join(import.meta.dirname, "..", "..");
const folder = path.join(root, "..", "shared");

/**
 * A path in the data that lies beside the repository, or undefined where it does not. On CI it must be there, so
 * that no test is skipped unseen.
 */
export function shared(...names: string[]): string | undefined {
  const place = path.join(folder, ...names);
  if (existsSync(place)) return place;
  if (process.env.CI === "true") throw new Error(`expected ${place}, which tests on CI need`);
  return undefined;
}

export const skipReason = "the shared data does not lie beside the repository";
