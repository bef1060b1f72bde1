import * as v from "valibot";
import type { ByteSource } from "../files/input-file.js";

/** Returns the error for an invalid array: what was found and what to do. */
export type Refuse = (received: string, advice?: string) => Error;

/** An array of integers (rows, length). */
export interface NpyArray {
  /** The dtype as in the header, such as "<u2". */
  dtype: string;
  rows: number;
  length: number;
  fortran: boolean;
  /** The offset of the values in the file, in bytes. */
  offset: number;
}

// numpy's own default limit.
const headerBytes = 10_000;

/** The bytes of an array that are read at once. */
const slabBytes = 4 * 2 ** 20;

const count = v.pipe(v.string(), v.trim(), v.regex(/^\d{1,15}L?$/), v.transform(Number.parseInt));
const headerSchema = v.object({
  descr: v.pipe(v.string(), v.regex(/^[<>|=][a-zA-Z]\d*$/)),
  fortran_order: v.picklist(["True", "False"]),
  shape: v.array(count),
});

// One entry of the header's dictionary: the value is a string, a boolean or a tuple.
const entry = /\s*'(descr|fortran_order|shape)'\s*:\s*(?:'([^']*)'|(True|False)|\(([\w\s,.+-]*)\))\s*(?:,|(?=\}))/y;

/** Parses a header, a dictionary in Python syntax. Returns undefined if it is invalid. */
function parseHeader(text: string): v.InferOutput<typeof headerSchema> | undefined {
  const body = text.trim();
  if (!body.startsWith("{")) return undefined;
  const fields = new Map<string, unknown>();
  entry.lastIndex = 1;
  for (let found = entry.exec(body), end = 1; ; found = entry.exec(body)) {
    if (found === null) {
      if (body.slice(end).trim() !== "}") return undefined;
      break;
    }
    end = entry.lastIndex;
    const [, name = "", quoted, word, tuple] = found;
    if (fields.has(name)) return undefined;
    fields.set(
      name,
      quoted ??
        word ??
        tuple
          ?.replace(/,\s*$/, "")
          .split(",")
          .filter((item) => item.trim() !== ""),
    );
  }
  const parsed = v.safeParse(headerSchema, Object.fromEntries(fields));
  return parsed.success ? parsed.output : undefined;
}

const convert = "convert it: numpy.save(NEW, array.astype(numpy.int32))";

/** Returns the kind of values of a dtype that is not an integer type; undefined for integers. */
function notIntegers(descr: string): string | undefined {
  if (/^([<>=][iu][248]|[<>|=][iu]1)$/.test(descr)) return undefined;
  if (descr.endsWith("O")) return "Python objects";
  if (descr.includes("b")) return "booleans";
  return "floating-point or other values";
}

/** Reads and checks the header of an array of token ids, before anything is allocated for its values. */
export async function readNpyHeader(source: ByteSource, refuse: Refuse): Promise<NpyArray> {
  if (source.size < 12) throw refuse("its header is cut off");
  const start = await source.read(0, 12);
  const version = start[6] ?? 0;
  if (version < 1 || version > 3) throw refuse(`it is of version ${version} of the .npy format`, convert);
  const before = version === 1 ? 10 : 12;
  const length = version === 1 ? start.readUInt16LE(8) : start.readUInt32LE(8);
  if (length > headerBytes) throw refuse(`its header takes ${length} bytes, more than ${headerBytes}`, convert);
  const offset = before + length;
  if (offset > source.size) throw refuse("its header is cut off");
  // Bytes must be read in ascending order, and of version 1 the first two header bytes have been read.
  const rest = await source.read(12, Math.max(0, offset - 12));
  const text = Buffer.concat([start, rest]).toString("utf8", before, offset);
  const header = parseHeader(text);
  if (header === undefined) {
    if (/'descr'\s*:\s*\[/.test(text)) {
      throw refuse("it is a structured array", "save its fields as arrays of their own: numpy.save(NEW, array[NAME])");
    }
    throw refuse(`its header is not one that numpy writes: ${JSON.stringify(text.trim().slice(0, 100))}`, convert);
  }
  return checked(header, offset, source.size, refuse);
}

function checked(
  { descr, fortran_order, shape }: v.InferOutput<typeof headerSchema>,
  offset: number,
  size: number,
  refuse: Refuse,
): NpyArray {
  const named = `the shape (${shape.join(", ")})`;
  const kind = notIntegers(descr);
  if (kind !== undefined) {
    throw refuse(`its values are of dtype ${descr}, ${kind}, not integers`, convert);
  }
  const [rows = 0, length = 0] = shape;
  if (shape.length !== 2) {
    throw refuse(
      `it is an array of ${named}, not (rows, length)`,
      "reshape it: numpy.save(NEW, array.reshape(-1, LENGTH))",
    );
  }
  const width = Number(descr.slice(2));
  const values = (size - offset) / width;
  if (rows * length !== values) {
    throw refuse(
      `it has ${Math.floor(values)} values (${size - offset} bytes) of dtype ${descr} for ${named}, which takes ` +
        `${rows * length * width} bytes`,
      "it is cut off or damaged: copy or save it again",
    );
  }
  return { dtype: descr, rows, length, fortran: fortran_order === "True", offset };
}

type Values = (number | bigint)[];

/** Returns a function that reads the value at an offset in bytes. */
function valueReader(dtype: string): (bytes: Buffer, place: number) => number | bigint {
  const width = Number(dtype.slice(2));
  const unsigned = dtype[1] === "u";
  const big = dtype[0] === ">";
  if (width === 8) {
    const read = unsigned
      ? big
        ? Buffer.prototype.readBigUInt64BE
        : Buffer.prototype.readBigUInt64LE
      : big
        ? Buffer.prototype.readBigInt64BE
        : Buffer.prototype.readBigInt64LE;
    return (bytes, place) => {
      const value = read.call(bytes, place);
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value;
    };
  }
  const read = unsigned
    ? big
      ? Buffer.prototype.readUIntBE
      : Buffer.prototype.readUIntLE
    : big
      ? Buffer.prototype.readIntBE
      : Buffer.prototype.readIntLE;
  return (bytes, place) => read.call(bytes, place, width);
}

async function* rowMajor(source: ByteSource, array: NpyArray, rows: number): AsyncGenerator<Values, void, void> {
  const width = Number(array.dtype.slice(2));
  const rowBytes = array.length * width;
  const value = valueReader(array.dtype);
  const perSlab = Math.max(1, Math.floor(slabBytes / rowBytes));
  for (let row = 0; row < rows; row += perSlab) {
    const taken = Math.min(perSlab, rows - row);
    const bytes = await source.read(array.offset + row * rowBytes, taken * rowBytes);
    for (let at = 0; at < taken; at++) {
      yield Array.from({ length: array.length }, (_, column) => value(bytes, at * rowBytes + column * width));
    }
  }
}

/** Reads only the requested rows of each column. */
async function* columnMajor(source: ByteSource, array: NpyArray, rows: number): AsyncGenerator<Values, void, void> {
  const width = Number(array.dtype.slice(2));
  const value = valueReader(array.dtype);
  const all = Array.from({ length: rows }, (): Values => new Array(array.length));
  for (let column = 0; column < array.length; column++) {
    const bytes = await source.read(array.offset + column * array.rows * width, rows * width);
    for (const [row, values] of all.entries()) values[column] = value(bytes, row * width);
  }
  yield* all;
}

/** Yields the first rows of an array. Integers that a number cannot hold exactly are bigints. */
export function readNpyRows(source: ByteSource, array: NpyArray, rows: number): AsyncGenerator<Values, void, void> {
  return array.fortran ? columnMajor(source, array, rows) : rowMajor(source, array, rows);
}
