import { addAbortSignal } from "node:stream";
import { readTextPlace, textBytes } from "../data/text.js";
import { AttentionBypassError } from "../errors/errors.js";
import { decodeUtf8, toUtf8 } from "../files/utf8.js";

/** Reads UTF-8 text from standard input. Throws SAMPLES_INVALID. */
export async function readStandardInput(signal: AbortSignal): Promise<string> {
  const refuse = (received: string, wayOut: string) =>
    new AttentionBypassError("SAMPLES_INVALID", `expected text on standard input but ${received}; ${wayOut}`);
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of addAbortSignal(signal, process.stdin)) {
    length += (piece as Buffer).length;
    if (length > textBytes) throw refuse(`it has more than ${textBytes} bytes`, "shorten it, for example with head -c");
    pieces.push(piece as Buffer);
  }
  try {
    return decodeUtf8(Buffer.concat(pieces));
  } catch (error) {
    throw refuse((error as Error).message, toUtf8);
  }
}

/** Reads the text of a file or a folder, or of standard input for "-". */
export function readText(file: string, signal: AbortSignal): Promise<string> {
  return file === "-" ? readStandardInput(signal) : readTextPlace(file, signal);
}

/** Returns the token ids, or the text that `read` returns for the argument. Exactly one of them must be given. */
export async function textOrTokens(
  name: string,
  argument: string | undefined,
  tokens: number[] | undefined,
  read: (argument: string) => string | Promise<string>,
): Promise<string | number[]> {
  if (argument !== undefined && tokens === undefined) return read(argument);
  if (tokens !== undefined && argument === undefined) return tokens;
  const received = tokens === undefined ? "neither" : "both";
  throw new AttentionBypassError("INVALID_ARGUMENT", `expected either ${name} or --tokens but received ${received}`);
}
