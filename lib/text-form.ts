import { inspect } from "node:util";
import { largest } from "./statistics.js";

/**
 * Gives a result a text of its own where it is inspected: by console.log, in a REPL, as the last value of a notebook's
 * cell. Nothing else sees it; the result stays plain data.
 */
export function withText<Value extends object>(value: Value, text: (value: Value) => string): Value {
  return Object.defineProperty(value, inspect.custom, { value: () => text(value).trimEnd(), configurable: true });
}

export function formatNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(6);
}

/** Aligned columns, the first to the left and the others, which hold numbers, to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => largest(rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join("  ");
  return rows.map((row) => `${line(row)}\n`).join("");
}
