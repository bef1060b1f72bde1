import type { Command } from "commander";
import { AttentionBypassError, systemCode } from "../errors.js";

export interface JsonOption {
  json?: boolean;
}

export function addJsonOption(command: Command): Command {
  return command
    .optionsGroup("Output options:")
    .option("--json", "print one JSON document and nothing else; what is not there or not finite is null");
}

/** Writes to standard output, at the pace of who reads it. */
export function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (!error) return resolve();
      if (systemCode(error) === "EPIPE") return reject(error);
      reject(new AttentionBypassError("WRITE_FAILED", `expected to write to standard output but ${error.message}`));
    });
  });
}

export function printJson(value: object): Promise<void> {
  // A document has the same names in it whatever the model and the options.
  const named = (_: string, item: unknown) => (item === undefined ? null : item);
  return print(`${JSON.stringify(value, named, 2)}\n`);
}
