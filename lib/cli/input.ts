import { readFile } from "node:fs/promises";
import { addAbortSignal } from "node:stream";
import { text } from "node:stream/consumers";
import { AttentionBypassError } from "../errors.js";

export function readStandardInput(signal: AbortSignal): Promise<string> {
  return text(addAbortSignal(signal, process.stdin));
}

/** The text in a file, or on standard input for "-". */
export async function readText(file: string, signal: AbortSignal): Promise<string> {
  if (file === "-") return readStandardInput(signal);
  return readFile(file, { encoding: "utf8", signal }).catch((error: Error) => {
    throw new AttentionBypassError("FILE_NOT_FOUND", `expected text in ${file} but ${error.message}`, { cause: error });
  });
}

/** Token ids, or what is read for the argument that stands for text: one of both must be given. */
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
