import type { Command } from "commander";
import { systemCode } from "../errors/errors.js";
import { visible } from "../errors/visible.js";
import { writeFailure } from "../files/output-file.js";

export interface JsonOption {
  json?: boolean;
}

export function addJsonOption(command: Command): Command {
  return command
    .optionsGroup("Output options:")
    .option("--json", "print one JSON document and nothing else; values that are missing or not finite are null");
}

/** Writes text to standard output and waits until it is written. Control characters are shown as escapes. */
export function print(text: string): Promise<void> {
  return printRaw(visible(text));
}

/** Writes generated text: unchanged to files and pipes, with escaped control characters to a terminal. */
export function printGenerated(text: string): Promise<void> {
  return process.stdout.isTTY ? print(text) : printRaw(text);
}

function printRaw(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (!error) return resolve();
      if (systemCode(error) === "EPIPE") return reject(error);
      reject(writeFailure("standard output", error));
    });
  });
}

export function printJson(value: object): Promise<void> {
  // Documents always have the same keys, whatever the model and the options.
  const named = (_: string, item: unknown) => (item === undefined ? null : item);
  return print(`${JSON.stringify(value, named, 2)}\n`);
}
