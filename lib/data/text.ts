import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { AttentionBypassError } from "../errors/errors.js";
import { fileKind } from "../files/file-kind.js";
import { InputFile, type Purpose, textPurpose } from "../files/input-file.js";
import { decodeUtf8, toUtf8 } from "../files/utf8.js";

/** The most bytes of one text. A string can hold twice as many. */
export const textBytes = 256 * 2 ** 20;

/** What is between two texts of a folder. */
const separator = "\n\n";

/** What is read of a text. */
export interface TextOptions {
  signal?: AbortSignal | undefined;
  /** The most bytes; defaults to `textBytes`. */
  most?: number;
}

/** The text of a file in UTF-8, without the mark that it may begin with. Throws FILE_NOT_FOUND, the purpose's code. */
export async function readText(
  place: string,
  purpose: Purpose,
  { signal, most = textBytes }: TextOptions = {},
): Promise<string> {
  await using file = await InputFile.open(place, purpose);
  const kind = await fileKind(file);
  if (kind === "gzip" || kind === "zstd") {
    throw file.refuse(
      `it is compressed with ${kind}`,
      `decompress it first: ${kind === "gzip" ? "gunzip" : "unzstd"} FILE`,
    );
  }
  if (kind !== "text") throw file.refuse(`it is ${kind}, not text`, "give a text file in UTF-8");
  if (file.size > most) {
    throw file.refuse(`it has ${file.size} bytes, more than ${most}`, "give a part of it: head -c");
  }
  const pieces: Buffer[] = [];
  for await (const piece of file.chunks()) {
    signal?.throwIfAborted();
    pieces.push(piece);
  }
  try {
    return decodeUtf8(Buffer.concat(pieces));
  } catch (error) {
    throw file.refuse((error as Error).message, toUtf8);
  }
}

/** The texts of a folder, its .txt files in the order of their names, with an empty line between two of them. */
async function readFolder(folder: string, signal: AbortSignal | undefined): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".txt") && !name.startsWith(".")).sort();
  if (names.length === 0) {
    const { what, code } = textPurpose;
    throw new AttentionBypassError(
      code,
      `expected ${what} in ${folder} but the folder has no .txt file; give a file, or put some there`,
    );
  }
  const texts: string[] = [];
  let left = textBytes;
  for (const name of names) {
    const text = await readText(path.join(folder, name), textPurpose, { signal, most: left });
    left -= Buffer.byteLength(text);
    texts.push(text);
  }
  return texts.join(separator);
}

/** The text of a file, or of a folder's .txt files. Throws FILE_NOT_FOUND, SAMPLES_INVALID. */
export async function readTextPlace(place: string, signal?: AbortSignal): Promise<string> {
  const isFolder = await stat(place).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isFolder ? readFolder(place, signal) : readText(place, textPurpose, { signal });
}
