import { access, constants, type FileHandle, open, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { AttentionBypassError, messageOf, systemCode } from "../errors/errors.js";
import { node } from "./node.js";

const fullDisk = ["ENOSPC", "EDQUOT"];

/**
 * What a failure to write to a place is: DISK_FULL, WRITE_FAILED, or what it already says itself. `unfinished` is the name
 * that the file had until then, which means nothing to the caller.
 */
export function writeFailure(place: string, error: unknown, unfinished?: string): AttentionBypassError {
  const code = systemCode(error) ?? "";
  if (code === "DISK_FULL" || fullDisk.includes(code)) {
    return new AttentionBypassError("DISK_FULL", `expected room for ${place} but the disk is full`, { cause: error });
  }
  // The addon does not know the name that the file is to have.
  const own = error instanceof AttentionBypassError && code !== "WRITE_FAILED" && code !== "LIBTORCH_FAILED";
  if (own) return error;
  const said = unfinished === undefined ? messageOf(error) : messageOf(error).replaceAll(unfinished, place);
  const whole = code === "WRITE_FAILED" ? said : `expected to write ${place} but ${said}`;
  return new AttentionBypassError("WRITE_FAILED", whole, { cause: error });
}

/** A file that is to appear whole or not at all. */
interface Target {
  /** As the caller calls it. */
  name: string;
  /** Where it really goes, behind symbolic links. */
  place: string;
  /** Devices and pipes can't be replaced, and are written to as they are. */
  special: boolean;
  /** The permissions of the file that is replaced. */
  mode: number | undefined;
}

async function examine(name: string): Promise<Target> {
  const found = await stat(name).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return { name, place: name, special: false, mode: undefined };
  if (found.isDirectory()) throw new Error("it is a folder");
  // Replacing a file does not ask for the permission to write it.
  await access(name, constants.W_OK);
  return { name, place: await realpath(name), special: !found.isFile(), mode: found.mode & 0o777 };
}

/** Names are at most 255 bytes long, and a character is at most 4. */
const longestBeginning = 40;

/** A name beside the file that nobody else has. */
function nameBeside(place: string): string {
  const beginning = path.basename(place).slice(0, longestBeginning);
  return path.join(path.dirname(place), `.${beginning}.${node.crypto.randomUUID()}.part`);
}

/** Removes what was not finished; where it can't be removed it could not be written either, which has been said. */
const remove = (file: string) => rm(file, { force: true }).catch(() => undefined);

/**
 * Has a file written under another name in the same folder, and gives it its own name when it is whole. A failure leaves
 * what was there before, and nothing else. Throws DISK_FULL, WRITE_FAILED.
 */
export async function writeWhole(name: string, write: (file: string) => Promise<void>): Promise<void> {
  let unfinished: string | undefined;
  try {
    const { place, special, mode } = await examine(name);
    if (special) return await write(place);
    unfinished = nameBeside(place);
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

/** Writes a file that appears whole or not at all. Throws DISK_FULL, WRITE_FAILED. */
export function writeOutput(name: string, content: string | Uint8Array): Promise<void> {
  return writeWhole(name, (file) => writeFile(file, content));
}

/** Writes several files that belong together: none appears before all are written. Throws DISK_FULL, WRITE_FAILED. */
export async function writeOutputs(outputs: readonly [name: string, content: string | Uint8Array][]): Promise<void> {
  const [first, ...rest] = outputs;
  if (first === undefined) return;
  const [name, content] = first;
  await writeWhole(name, async (file) => {
    await writeFile(file, content);
    await writeOutputs(rest);
  });
}

/** Whether a file can be written, found out without touching what is there. Throws DISK_FULL, WRITE_FAILED. */
export async function requireWritable(name: string): Promise<void> {
  let trial: string | undefined;
  try {
    const { place, special } = await examine(name);
    if (special) return;
    trial = nameBeside(place);
    await writeFile(trial, "");
  } catch (error) {
    throw writeFailure(name, error, trial);
  } finally {
    if (trial !== undefined) await remove(trial);
  }
}
