import { decompressed } from "./decompress.js";
import { fileKind } from "./file-kind.js";
import type { InputFile } from "./input-file.js";
import { decodeUtf8, toUtf8 } from "./utf8.js";

/** A line of a text file that is not blank. */
export interface Line {
  /** The number of the line, from 1. */
  number: number;
  text: string;
}

/** The most bytes of one line, because a line is parsed as a whole on the event loop. */
export const lineBytes = 32 * 2 ** 20;

const lineFeed = 10;
const carriageReturn = 13;

function toLine(file: InputFile, bytes: Buffer, number: number): Line | undefined {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === carriageReturn) end--;
  const line = bytes.subarray(0, end);
  if (line.includes(carriageReturn)) {
    throw file.refuse(
      `line ${number} has a carriage return (CR) before its end, as in files that end lines with CR only`,
      "end lines with LF: tr '\\r' '\\n' < FILE > NEW",
    );
  }
  try {
    const text = decodeUtf8(line);
    return text.trim() === "" ? undefined : { number, text };
  } catch (error) {
    throw file.refuse(`in line ${number} ${(error as Error).message}`, toUtf8);
  }
}

/** Returns the text of a file, plain or compressed, as chunks of bytes. */
export async function textBytes(file: InputFile): Promise<AsyncIterable<Buffer>> {
  const kind = await fileKind(file);
  if (kind === "gzip" || kind === "zstd") return decompressed(file, kind);
  if (kind === "text") return file.chunks();
  throw file.refuse(`it is ${kind}, not text`, "write it as text in UTF-8 or as JSON lines");
}

/**
 * Yields the lines of a UTF-8 text file that are not blank. The file may be compressed with gzip or zstd. Lines end
 * only at LF, so that other separators inside a JSON string stay in it; a CR before the LF is dropped. Reading stops
 * when the caller stops.
 */
export async function* readLines(file: InputFile, signal?: AbortSignal): AsyncGenerator<Line, void, void> {
  let number = 0;
  let pieces: Buffer[] = [];
  let length = 0;
  const finish = (last: Buffer): Line | undefined => {
    const bytes = pieces.length === 0 ? last : Buffer.concat([...pieces, last]);
    pieces = [];
    length = 0;
    number++;
    return bytes.length === 0 ? undefined : toLine(file, bytes, number);
  };
  for await (const chunk of await textBytes(file)) {
    signal?.throwIfAborted();
    let from = 0;
    for (let to = chunk.indexOf(lineFeed); to >= 0; to = chunk.indexOf(lineFeed, from)) {
      const line = finish(chunk.subarray(from, to));
      from = to + 1;
      if (line) yield line;
    }
    if (from === chunk.length) continue;
    length += chunk.length - from;
    if (length > lineBytes) {
      throw file.refuse(
        `line ${number + 1} is longer than ${lineBytes / 2 ** 20} MiB`,
        "write one row per line, and shorten the text of the row",
      );
    }
    pieces.push(chunk.subarray(from));
  }
  const line = length === 0 ? undefined : finish(Buffer.alloc(0));
  if (line) yield line;
}
