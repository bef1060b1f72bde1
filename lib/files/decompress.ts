import { pipeline, Readable, type Transform } from "node:stream";
import zlib from "node:zlib";
import { AttentionBypassError } from "../errors/errors.js";
import { kindOf } from "./file-kind.js";
import type { InputFile } from "./input-file.js";

/**
 * The most bytes that one compressed file may decompress to, so that a small file can't keep a process busy for hours.
 */
export const expandedBytes = 4 * 2 ** 30;

// fzstd decompresses each input as a whole, up to 32 KiB for one byte, so small inputs limit the memory.
const fzstdInput = 4096;

/** Yields the chunks of a decompressed file. Throws if they have more than `expandedBytes` bytes in total. */
export async function* bounded(file: InputFile, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let total = 0;
  for await (const chunk of chunks) {
    total += chunk.length;
    if (total > expandedBytes) {
      throw file.refuse(
        `it decompresses to more than ${expandedBytes / 2 ** 30} GiB`,
        "decompress it first, or ask for fewer rows",
      );
    }
    yield chunk;
  }
}

async function* through(file: InputFile, transform: Transform): AsyncGenerator<Buffer, void, void> {
  // Errors of both streams reach the loop through the transform. Leaving the loop destroys the transform.
  pipeline(Readable.from(file.chunks()), transform, () => {});
  try {
    yield* transform as AsyncIterable<Buffer>;
  } catch (error) {
    throw error instanceof AttentionBypassError
      ? error
      : file.refuse(`it can't be decompressed (${(error as Error).message})`);
  }
}

/** Decompresses Zstandard with fzstd, for versions of Node whose zlib does not support it. */
async function* throughFzstd(file: InputFile): AsyncGenerator<Buffer, void, void> {
  const { Decompress } = await import("fzstd");
  let expanded: Uint8Array[] = [];
  const stream = new Decompress((chunk) => expanded.push(chunk));
  const push = (chunk: Uint8Array, last: boolean) => {
    try {
      stream.push(chunk, last);
    } catch (error) {
      throw file.refuse(`it can't be decompressed (${(error as Error).message})`);
    }
  };
  let pushed = 0;
  for await (const chunk of file.chunks()) {
    for (let at = 0; at < chunk.length; at += fzstdInput) {
      const piece = chunk.subarray(at, at + fzstdInput);
      pushed += piece.length;
      push(piece, pushed === file.size);
      const ready = expanded;
      expanded = [];
      for (const part of ready) if (part.length > 0) yield Buffer.from(part.buffer, part.byteOffset, part.byteLength);
    }
  }
}

/** Yields the chunks. Throws if the first bytes are not text: a compressed file of another format is not read. */
async function* requireText(file: InputFile, chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let first = true;
  for await (const chunk of chunks) {
    if (first && chunk.length > 0) {
      first = false;
      const kind = kindOf(chunk.subarray(0, 4096));
      if (typeof kind !== "string") throw file.refuse(`of its decompressed content: ${kind.received}`, kind.advice);
      if (kind !== "text") throw file.refuse(`its decompressed content is ${kind}, not text`, "decompress it first");
    }
    yield chunk;
  }
}

/** Yields the decompressed text of a file in chunks. Throws the purpose's code. */
export function decompressed(file: InputFile, kind: "gzip" | "zstd"): AsyncGenerator<Buffer, void, void> {
  if (kind === "gzip") return requireText(file, bounded(file, through(file, zlib.createGunzip())));
  const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Transform };
  const chunks = createZstdDecompress ? through(file, createZstdDecompress()) : throughFzstd(file);
  return requireText(file, bounded(file, chunks));
}
