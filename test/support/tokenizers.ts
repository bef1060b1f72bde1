import { writeFile } from "node:fs/promises";
import path from "node:path";

/** GPT-2's character for each byte: printable ones stand for themselves, the others come from U+0100 on. */
function byteCharacters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(printable ? byte : next++);
  });
}

/** Writes GPT-2's files for a tokenizer with an end of text, id 0, and a token for each of these bytes, from id 1. */
export async function writeByteTokenizer(folder: string, bytes: readonly number[]): Promise<void> {
  const characters = byteCharacters();
  const entries = bytes.map((byte, index) => [characters[byte] as string, index + 1]);
  const vocabulary = Object.fromEntries([["<|endoftext|>", 0], ...entries]);
  await writeFile(path.join(folder, "vocab.json"), JSON.stringify(vocabulary));
  await writeFile(path.join(folder, "merges.txt"), "#version: 0.2\n");
}

export const allBytes: readonly number[] = Array.from({ length: 256 }, (_, byte) => byte);

/** As many characters as the committed models have tokens: space, newline, full stop, and from @ to ~ with letters. */
export const characters67: readonly number[] = [32, 10, 46, ...Array.from({ length: 63 }, (_, index) => 64 + index)];
