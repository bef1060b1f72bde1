/** Bytes that are no UTF-8. */
export class NotUtf8Error extends Error {
  constructor(offset: number) {
    super(`it is not UTF-8 at byte ${offset}: text in another encoding, such as Latin-1, or no text at all`);
  }
}

export const toUtf8 = "convert it: iconv -f LATIN1 -t UTF-8 FILE > NEW";

const decoder = new TextDecoder("utf-8", { fatal: true });
const replacement = Buffer.from("\ufffd");

/** Where the first sequence begins that is no UTF-8. */
function firstInvalid(bytes: Buffer): number {
  const text = bytes.toString("utf8");
  for (let at = text.indexOf("\ufffd"); at >= 0; at = text.indexOf("\ufffd", at + 1)) {
    const offset = Buffer.byteLength(text.slice(0, at));
    // What comes before is as it was, so that this is the place in the bytes too.
    if (!bytes.subarray(offset, offset + 3).equals(replacement)) return offset;
  }
  return bytes.length;
}

/** The text of bytes, without the mark that it may begin with. Throws NotUtf8Error. */
export function decodeUtf8(bytes: Buffer): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new NotUtf8Error(firstInvalid(bytes));
  }
}
