/** The error for bytes that are not UTF-8. The message names the offset of the first invalid byte. */
export class NotUtf8Error extends Error {
  constructor(offset: number) {
    super(`it is not UTF-8 at byte ${offset}: it is text in another encoding, such as Latin-1, or not text`);
  }
}

export const toUtf8 = "convert it: iconv -f LATIN1 -t UTF-8 FILE > NEW";

const decoder = new TextDecoder("utf-8", { fatal: true });
const decoderWithMark = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const replacement = Buffer.from("\ufffd");

/** Returns the offset of the first sequence that is not UTF-8. */
function firstInvalid(bytes: Buffer): number {
  const text = bytes.toString("utf8");
  for (let at = text.indexOf("\ufffd"); at >= 0; at = text.indexOf("\ufffd", at + 1)) {
    const offset = Buffer.byteLength(text.slice(0, at));
    // The text before `at` decoded without loss, so its byte length is the offset in the input.
    if (!bytes.subarray(offset, offset + 3).equals(replacement)) return offset;
  }
  return bytes.length;
}

function decodeWith(used: typeof decoder, bytes: Buffer, position: number): string {
  try {
    return used.decode(bytes);
  } catch {
    throw new NotUtf8Error(position + firstInvalid(bytes));
  }
}

/** Decodes UTF-8, without a byte order mark at the beginning. Throws NotUtf8Error. */
export function decodeUtf8(bytes: Buffer): string {
  return decodeWith(decoder, bytes, 0);
}

/** Returns the number of bytes before an incomplete character at the end. */
function completeLength(bytes: Buffer): number {
  // A character has at most 4 bytes: the first is 11......, the others are 10.......
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte >> 6 === 0b10) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** Decodes chunks of UTF-8 that may divide characters. A byte order mark is a character. Throws NotUtf8Error. */
export async function* decodeUtf8Chunks(chunks: AsyncIterable<Buffer>): AsyncGenerator<string, void, void> {
  let left: Buffer = Buffer.alloc(0);
  let position = 0;
  for await (const chunk of chunks) {
    const bytes = left.length === 0 ? chunk : Buffer.concat([left, chunk]);
    const length = completeLength(bytes);
    yield decodeWith(decoderWithMark, bytes.subarray(0, length), position);
    position += length;
    left = bytes.subarray(length);
  }
  yield decodeWith(decoderWithMark, left, position);
}
