import { access, constants, type FileHandle, open, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { AttentionBypassError, messageOf, systemCode } from "../errors/errors.js";
import { node } from "./node.js";

const fullDisk = ["ENOSPC", "EDQUOT"];

/**
 * Converts an error of writing a file to DISK_FULL or WRITE_FAILED; returns an `AttentionBypassError` with another code
 * unchanged. `unfinished` is the temporary file's name, which is replaced by `place` in the message.
 */
export function writeFailure(place: string, error: unknown, unfinished?: string): AttentionBypassError {
  const code = systemCode(error) ?? "";
  if (code === "DISK_FULL" || fullDisk.includes(code)) {
    return new AttentionBypassError("DISK_FULL", `expected free disk space for ${place} but the disk is full`, {
      cause: error,
    });
  }
  // WRITE_FAILED and LIBTORCH_FAILED come from the addon, which knows only the temporary name.
  const own = error instanceof AttentionBypassError && code !== "WRITE_FAILED" && code !== "LIBTORCH_FAILED";
  if (own) return error;
  const said = unfinished === undefined ? messageOf(error) : messageOf(error).replaceAll(unfinished, place);
  const whole = code === "WRITE_FAILED" ? said : `expected to write ${place} but ${said}`;
  return new AttentionBypassError("WRITE_FAILED", whole, { cause: error });
}

/** A file to be written. It appears complete or not at all. */
interface Target {
  /** The path that the caller gave. */
  name: string;
  /** The path with symbolic links resolved. */
  place: string;
  /** Whether it is a device or a pipe, which can't be replaced and is written to directly. */
  special: boolean;
  /** The permissions of the file that is replaced; undefined for a new file. */
  mode: number | undefined;
}

async function examine(name: string): Promise<Target> {
  const found = await stat(name).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return { name, place: name, special: false, mode: undefined };
  if (found.isDirectory()) throw new Error("it is a folder");
  // Replacing a file succeeds without write permission for it, so the permission is checked here.
  await access(name, constants.W_OK);
  return { name, place: await realpath(name), special: !found.isFile(), mode: found.mode & 0o777 };
}

/**
 * The characters of a file's name that its temporary name keeps. Names have at most 255 bytes, a character at most 4.
 */
const longestBeginning = 40;

/** Returns a unique temporary name in the same folder. */
export function temporaryName(place: string): string {
  const beginning = path.basename(place).slice(0, longestBeginning);
  return path.join(path.dirname(place), `.${beginning}.${node.crypto.randomUUID()}.part`);
}

/** Removes a temporary file. Errors are ignored, because the failed write already reports the problem. */
const remove = (file: string) => rm(file, { force: true }).catch(() => undefined);

/**
 * Calls `write` with a temporary name in the same folder, then renames the file to `name`. If anything fails, an
 * existing file stays unchanged and the temporary file is removed. Throws DISK_FULL, WRITE_FAILED.
 */
export async function writeWhole(name: string, write: (file: string) => Promise<void>): Promise<void> {
  let unfinished: string | undefined;
  try {
    const { place, special, mode } = await examine(name);
    if (special) return await write(place);
    unfinished = temporaryName(place);
    await write(unfinished);
    if (mode !== undefined) await changeMode(unfinished, mode);
    await rename(unfinished, place);
  } catch (error) {
    if (unfinished !== undefined) await remove(unfinished);
    throw writeFailure(name, error, unfinished);
  }
}

async function changeMode(file: string, mode: number): Promise<void> {
  const handle: FileHandle = await open(file);
  await handle.chmod(mode).finally(() => handle.close());
}

/**
 * Writes a file atomically: it appears complete or not at all. Content that is longer than a string can be is given in
 * pieces. Throws DISK_FULL, WRITE_FAILED.
 */
export function writeOutput(name: string, content: string | Uint8Array | Iterable<string>): Promise<void> {
  return writeWhole(name, (file) => writeFile(file, content));
}

/** Writes several files. No file appears before all are written. Throws DISK_FULL, WRITE_FAILED. */
export async function writeOutputs(outputs: readonly [name: string, content: string | Uint8Array][]): Promise<void> {
  const [first, ...rest] = outputs;
  if (first === undefined) return;
  const [name, content] = first;
  await writeWhole(name, async (file) => {
    await writeFile(file, content);
    await writeOutputs(rest);
  });
}

/** Checks that a file can be written, without changing an existing one. Throws DISK_FULL, WRITE_FAILED. */
export async function requireWritable(name: string): Promise<void> {
  let trial: string | undefined;
  try {
    const { place, special } = await examine(name);
    if (special) return;
    trial = temporaryName(place);
    await writeFile(trial, "");
  } catch (error) {
    throw writeFailure(name, error, trial);
  } finally {
    if (trial !== undefined) await remove(trial);
  }
}
