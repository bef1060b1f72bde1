/** Words of a text as GPT-2's pattern divides them, with white space as Unicode and Python's tokenizers have it. */
export const byteLevelPattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** GPT-2's character for each byte: printable ones stand for themselves, the others come from U+0100 on. */
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

/** The bytes that a token stands for; where a character is none of GPT-2's, the token is text. */
function bytesOf(token: string): Uint8Array {
  const list = new Uint8Array(token.length);
  for (let index = 0; index < token.length; index++) {
    const byte = bytes.get(token[index] as string);
    if (byte === undefined) return encoder.encode(token);
    list[index] = byte;
  }
  return list;
}

/** The text of tokens. Bytes that are no whole character come out as U+FFFD. */
export function decodeByteLevel(tokens: readonly string[]): string {
  return decoder.decode(Buffer.concat(tokens.map(bytesOf)));
}
