/**
 * GPT-2's pattern that divides text into words, with Unicode's definition of white space, as in Python's tokenizers.
 */
export const byteLevelPattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** GPT-2's character for each byte: a printable byte is its own character, the others are numbered from U+0100. */
export const byteCharacters: readonly string[] = (() => {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCharCode(printable ? byte : next++);
  });
})();

const bytes: ReadonlyMap<string, number> = new Map(byteCharacters.map((character, byte) => [character, byte]));

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Returns the bytes that a token stands for. A token with a character outside GPT-2's mapping is encoded as UTF-8. */
export function bytesOf(token: string): Uint8Array {
  const list = new Uint8Array(token.length);
  for (let index = 0; index < token.length; index++) {
    const byte = bytes.get(token[index] as string);
    if (byte === undefined) return encoder.encode(token);
    list[index] = byte;
  }
  return list;
}

/** Returns the text of tokens. Bytes that are not a complete character become U+FFFD. */
export function decodeByteLevel(tokens: readonly string[]): string {
  return decoder.decode(Buffer.concat(tokens.map(bytesOf)));
}
