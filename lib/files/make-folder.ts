import { mkdir, stat } from "node:fs/promises";
import path from "node:path";
import { systemCode } from "../errors/errors.js";
import { writeFailure } from "./output-file.js";

const exists = (place: string) =>
  stat(place).then(
    () => true,
    () => false,
  );

async function makeOne(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    if (systemCode(error) !== "EEXIST" || !(await stat(folder)).isDirectory()) throw error;
  }
}

/**
 * Creates a folder and those above it, if they do not exist. Where no folder can be created, such as in /proc, Node's
 * `mkdir` with `recursive` never ends. Throws DISK_FULL, WRITE_FAILED.
 */
export async function makeFolder(folder: string): Promise<void> {
  const missing = [path.resolve(folder)];
  for (let above = path.dirname(missing[0] as string); !(await exists(above)); above = path.dirname(above)) {
    missing.unshift(above);
  }
  try {
    for (const place of missing) await makeOne(place);
  } catch (error) {
    throw writeFailure(folder, error);
  }
}
