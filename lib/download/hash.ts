import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";

/** The hash of a file's content. "git-sha1" is the id of a Git blob: the SHA-1 of a header and the content. */
export interface ContentHash {
  readonly algorithm: "sha256" | "git-sha1";
  /** In hexadecimal. */
  readonly value: string;
}

/** Returns the hash of a file in hexadecimal. */
export async function hashOf(
  file: string,
  algorithm: ContentHash["algorithm"],
  signal?: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash(algorithm === "sha256" ? "sha256" : "sha1");
  if (algorithm === "git-sha1") hash.update(`blob ${(await stat(file)).size}\0`);
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) {
    signal?.throwIfAborted();
    hash.update(chunk);
  }
  return hash.digest("hex");
}

export function sha256Of(file: string): Promise<string> {
  return hashOf(file, "sha256");
}
