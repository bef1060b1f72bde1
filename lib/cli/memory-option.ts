import type { Command } from "commander";
import { wholeNumber } from "./values.js";

export interface MemoryOption {
  /** In MiB. */
  memory?: number;
}

export function addMemoryOption(command: Command): Command {
  return command.option(
    "--memory <MiB>",
    "memory to use in addition to the weights (default: 1024, or half of the available memory if that is less)",
    wholeNumber(1),
  );
}

/** Converts the option to the option of the library's calls, in bytes. */
export function toMemory({ memory }: MemoryOption): { memory?: number } {
  return memory === undefined ? {} : { memory: memory * 2 ** 20 };
}
