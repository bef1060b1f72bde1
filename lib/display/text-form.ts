import { inspect } from "node:util";
import { outputWidth } from "./output-width.js";

/**
 * Sets the text that util.inspect returns for a result, so that console.log, a REPL and a notebook cell print it. The
 * property is not enumerable: the result stays plain data.
 */
export function withText<Value extends object>(value: Value, text: (value: Value) => string): Value {
  return Object.defineProperty(value, inspect.custom, { value: () => text(value).trimEnd(), configurable: true });
}

export function formatNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(6);
}

type Row = readonly string[];

const gap = "  ";
/** The characters reserved for one column of numbers; the columns that name the row share the rest. */
const numberRoom = 24;

const shorten = (text: string, length: number) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

const columnWidths = (rows: readonly Row[]): number[] =>
  rows[0]?.map((_, column) => rows.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), 0)) ?? [];

const totalWidth = (widths: readonly number[]) =>
  widths.reduce((sum, width) => sum + width, 0) + gap.length * (widths.length - 1);

function aligned(rows: readonly Row[]): string {
  const widths = columnWidths(rows);
  const line = (row: Row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join(gap);
  return rows.map((row) => `${line(row)}\n`).join("");
}

/** Returns the column numbers of each part of a table that is too wide. Each part begins with the name columns. */
function parts(widths: readonly number[], names: number, width: number): number[][] {
  const first = widths.slice(0, names).map((_, column) => column);
  const all: number[][] = [[...first]];
  for (let column = names; column < widths.length; column++) {
    const part = all.at(-1) as number[];
    const wider = [...part, column];
    if (part.length === names || totalWidth(wider.map((one) => widths[one] as number)) <= width) part.push(column);
    else all.push([...first, column]);
  }
  return all;
}

/**
 * Returns rows as text in aligned columns: the first column to the left, the others, which hold numbers, to the right.
 * A table wider than `width` is divided into parts, one below the other, each with the first `names` columns, which
 * name the row.
 */
export function table(rows: readonly Row[], names = 1, width = outputWidth()): string {
  if (totalWidth(columnWidths(rows)) <= width) return aligned(rows);
  const longestName = Math.max(8, Math.floor((width - numberRoom) / names) - gap.length);
  const named = rows.map((row) => row.map((cell, column) => (column < names ? shorten(cell, longestName) : cell)));
  const room = Math.max(8, width - totalWidth(columnWidths(named).slice(0, names)) - gap.length);
  const fitting = named.map((row) => row.map((cell, column) => (column < names ? cell : shorten(cell, room))));
  return parts(columnWidths(fitting), names, width)
    .map((columns) => aligned(fitting.map((row) => columns.map((column) => row[column] ?? ""))))
    .join("\n");
}

/** Breaks text into lines of at most `width` characters; a longer word gets its own line. */
export function wrap(text: string, width = outputWidth()): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}
