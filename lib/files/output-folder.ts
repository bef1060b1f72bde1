import { chmod, mkdir, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { systemCode } from "../errors/errors.js";
import { temporaryName, writeFailure } from "./output-file.js";

/** A folder to be written. */
interface Target {
  /** The absolute path with symbolic links resolved. */
  place: string;
  /** The permissions of the empty folder that is replaced; undefined for a new folder. */
  mode: number | undefined;
}

async function examine(name: string): Promise<Target> {
  const found = await stat(name).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return { place: path.resolve(name), mode: undefined };
  if (!found.isDirectory()) throw new Error("it is a file; name a new folder");
  const place = await realpath(name);
  if ((await readdir(place)).length > 0) throw new Error("it is a folder that is not empty; name a new folder");
  return { place, mode: found.mode & 0o777 };
}

/** Checks that a folder is new or empty. Throws WRITE_FAILED. */
export async function requireNewFolder(name: string): Promise<void> {
  await examine(name).catch((error: unknown) => {
    throw writeFailure(name, error);
  });
}

/**
 * Calls `write` with a new folder next to the target, then renames it to `name`, which must be new or empty. If
 * anything fails, the folder is removed with all that is in it. Throws DISK_FULL, WRITE_FAILED.
 */
export async function writeWholeFolder(name: string, write: (folder: string) => Promise<void>): Promise<void> {
  let unfinished: string | undefined;
  try {
    const { place, mode } = await examine(name);
    unfinished = temporaryName(place);
    await mkdir(unfinished);
    await write(unfinished);
    if (mode !== undefined) await chmod(unfinished, mode);
    await rename(unfinished, place);
  } catch (error) {
    if (unfinished !== undefined) await rm(unfinished, { recursive: true, force: true }).catch(() => undefined);
    throw writeFailure(name, error, unfinished);
  }
}
