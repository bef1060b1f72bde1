import path from "node:path";
import { AttentionBypassError } from "../errors/errors.js";
import type { FileIdentity } from "../files/file-identity.js";
import { node } from "../files/node.js";
import { identifyFile, isSameFile, withRegularFile } from "../files/regular-file.js";
import type { ScoredRow } from "./scored-row.js";

/** The name and hash of a file. */
export interface FileHash {
  /** The file's name without its folder. */
  name: string;
  /** The SHA-256 of the file's content, in hexadecimal digits. */
  sha256: string;
}

const chunkBytes = 2 ** 20;

/** Hashes of files of loaded models, so that only the first sweep of a model reads its files. */
const known = new WeakMap<FileIdentity, FileHash>();

/**
 * Returns the hash of a file that a model was loaded from. Throws WEIGHTS_CHANGED if the file has changed since then.
 */
export function hashFile(file: FileIdentity, signal: AbortSignal | undefined): Promise<FileHash> {
  const codes = { missing: "WEIGHTS_CHANGED", invalid: "WEIGHTS_CHANGED" } as const;
  return withRegularFile(file.path, `${file.path}, which the model was loaded from,`, codes, async ({ handle }) => {
    const checkSame = async () => {
      const now = await identifyFile(handle, file.path);
      if (now !== undefined && isSameFile(file, now)) return;
      throw new AttentionBypassError(
        "WEIGHTS_CHANGED",
        `expected ${file.path} to be unchanged since the model was loaded but it has changed; load the model again`,
      );
    };
    await checkSame();
    const before = known.get(file);
    if (before !== undefined) return before;
    const hash = node.crypto.createHash("sha256");
    const bytes = Buffer.alloc(chunkBytes);
    for (let position = 0, read = 1; read > 0; position += read) {
      signal?.throwIfAborted();
      read = (await handle.read(bytes, 0, bytes.length, position)).bytesRead;
      hash.update(bytes.subarray(0, read));
    }
    await checkSame();
    const result = { name: path.basename(file.path), sha256: hash.digest("hex") };
    known.set(file, result);
    return result;
  });
}

/** Returns the SHA-256 of lists of numbers as 32-bit little-endian floats. */
export function hashNumbers(lists: readonly ArrayLike<number>[]): string {
  const hash = node.crypto.createHash("sha256");
  for (const list of lists) hash.update(new Uint8Array(Float32Array.from(list).buffer));
  return hash.digest("hex");
}

/**
 * Returns the SHA-256 of rows as 32-bit little-endian integers: for each its length, the index of its first scored
 * token, and its tokens.
 */
export function hashRows(rows: readonly ScoredRow[]): string {
  const hash = node.crypto.createHash("sha256");
  for (const { tokens, first } of rows) {
    const bytes = Buffer.alloc(4 * (2 + tokens.length));
    bytes.writeInt32LE(tokens.length, 0);
    bytes.writeInt32LE(first, 4);
    for (const [index, token] of tokens.entries()) bytes.writeInt32LE(token, 4 * (index + 2));
    hash.update(bytes);
  }
  return hash.digest("hex");
}
