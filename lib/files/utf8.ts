/** The error for bytes that are not UTF-8. The message names the offset of the first invalid byte. */
export class NotUtf8Error extends Error {
  constructor(offset: number) {
    super(`it is not UTF-8 at byte ${offset}: it is text in another encoding, such as Latin-1, or not text`);
  }
}

export const toUtf8 = "convert it: iconv -f LATIN1 -t UTF-8 FILE > NEW";

const decoder = new TextDecoder("utf-8", { fatal: true });
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

/** Decodes UTF-8, without a byte order mark at the beginning. Throws NotUtf8Error. */
export function decodeUtf8(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new NotUtf8Error(firstInvalid(bytes));
  }
}
