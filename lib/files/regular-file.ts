import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { AttentionBypassError, type ErrorCode, systemCode } from "../errors/errors.js";
import type { FileIdentity } from "./file-identity.js";

/** An open file and its identity at the time when it was opened. */
export interface RegularFile {
  readonly path: string;
  readonly handle: FileHandle;
  readonly identity: FileIdentity;
  /** The size in bytes. */
  readonly size: number;
}

/** The error codes for a file that does not exist, and for one that is not a readable regular file. */
export interface FileCodes {
  readonly missing: ErrorCode;
  readonly invalid: ErrorCode;
}

/** Returns the identity of an open file; undefined if it is not a regular file. */
export async function identifyFile(handle: FileHandle, place: string): Promise<FileIdentity | undefined> {
  const found = await handle.stat({ bigint: true });
  if (!found.isFile()) return undefined;
  return { path: place, device: found.dev, inode: found.ino, size: found.size, modified: found.mtimeNs };
}

/**
 * Opens a file, runs `work` on it and closes it. `name` is the name used in error messages, such as "weights in
 * model.safetensors". Throws the given codes, immediately if the path is a folder, FIFO, socket or device.
 */
export async function withRegularFile<Result>(
  place: string,
  name: string,
  codes: FileCodes,
  work: (file: RegularFile) => Promise<Result>,
): Promise<Result> {
  // Without O_NONBLOCK, opening a FIFO waits for its writer.
  const handle = await open(place, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY).catch(
    (error: unknown) => {
      const code = systemCode(error);
      const missing = code === "ENOENT" || code === "ENOTDIR";
      const reason = missing ? "there is no such file" : `it can't be opened (${code})`;
      throw new AttentionBypassError(missing ? codes.missing : codes.invalid, `expected ${name} but ${reason}`, {
        cause: error,
      });
    },
  );
  try {
    const identity = await identifyFile(handle, place);
    if (identity === undefined) {
      throw new AttentionBypassError(codes.invalid, `expected ${name} but it is not a regular file`);
    }
    return await work({ path: place, handle, identity, size: Number(identity.size) });
  } finally {
    await handle.close();
  }
}

/** Returns whether two identities are of the same, unmodified file, as far as the file system tells. */
export function isSameFile(one: FileIdentity, other: FileIdentity): boolean {
  return (
    one.device === other.device &&
    one.inode === other.inode &&
    one.size === other.size &&
    one.modified === other.modified
  );
}

/** Reads bytes of a file. Returns fewer than `length` only if the file ends. */
export async function readBytes({ handle }: RegularFile, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

/** Reads a whole text file of at most `limit` bytes. Throws the given codes. */
export function readSmallText(place: string, name: string, limit: number, codes: FileCodes): Promise<string> {
  return withRegularFile(place, name, codes, async (file) => {
    if (file.size > limit) {
      throw new AttentionBypassError(
        codes.invalid,
        `expected ${name} to be at most ${limit} bytes long but it is ${file.size}`,
      );
    }
    return (await readBytes(file, 0, file.size)).toString("utf8");
  });
}
