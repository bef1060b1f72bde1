import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { AttentionBypassError } from "../errors/errors.js";
import { fileKind } from "../files/file-kind.js";
import { InputFile, type Purpose, textPurpose } from "../files/input-file.js";
import { decodeUtf8, toUtf8 } from "../files/utf8.js";

/** The most bytes of one text, half of what a string can hold. */
export const textBytes = 256 * 2 ** 20;

/** The separator between two texts of a folder. */
const separator = "\n\n";

/** Options of reading a text. */
export interface TextOptions {
  signal?: AbortSignal | undefined;
  /** The most bytes. Defaults to `textBytes`. */
  most?: number;
}

/** Reads a UTF-8 text file, without a byte order mark. Throws FILE_NOT_FOUND and the purpose's code. */
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
    throw file.refuse(`it has ${file.size} bytes, more than ${most}`, "give a part of it, such as head -c writes");
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

/** Reads the .txt files of a folder in the order of their names, joined with an empty line between two files. */
async function readFolder(folder: string, signal: AbortSignal | undefined): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".txt") && !name.startsWith(".")).sort();
  if (names.length === 0) {
    const { what, code } = textPurpose;
    throw new AttentionBypassError(
      code,
      `expected ${what} in ${folder} but the folder has no .txt file; give the path of a text file, or add .txt files`,
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

/** Reads the text of a file, or of a folder's .txt files. Throws FILE_NOT_FOUND, SAMPLES_INVALID. */
export async function readTextPlace(place: string, signal?: AbortSignal): Promise<string> {
  const isFolder = await stat(place).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isFolder ? readFolder(place, signal) : readText(place, textPurpose, { signal });
}
