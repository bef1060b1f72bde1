import { createReadStream } from "node:fs";
import path from "node:path";
import { node } from "./node.js";
import type { ScoredRow } from "./scoring.js";

/** A file and what is in it. */
export interface FileHash {
  /** Without its folder. */
  name: string;
  /** Of its bytes, in hexadecimal digits. */
  sha256: string;
}

export async function hashFile(file: string, signal: AbortSignal | undefined): Promise<FileHash> {
  const hash = node.crypto.createHash("sha256");
  for await (const bytes of createReadStream(file, { highWaterMark: 2 ** 20 })) {
    signal?.throwIfAborted();
    hash.update(bytes);
  }
  return { name: path.basename(file), sha256: hash.digest("hex") };
}

/** The SHA-256 of lists of numbers as 32-bit floats, the lowest byte first. */
export function hashNumbers(lists: readonly ArrayLike<number>[]): string {
  const hash = node.crypto.createHash("sha256");
  for (const list of lists) hash.update(new Uint8Array(Float32Array.from(list, Number).buffer));
  return hash.digest("hex");
}

/** The SHA-256 of rows as 32-bit integers, the lowest byte first: for each its length, its first scored token, its tokens. */
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
