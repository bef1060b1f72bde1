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

export function formatNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(6);
}

/** Aligned columns, the first to the left and the others, which hold numbers, to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ");
  return rows.map((row) => `${line(row)}\n`).join("");
}
