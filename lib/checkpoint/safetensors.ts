import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { longestMessage, quoted } from "../errors/quoted.js";
import { validate, wholeNumber } from "../errors/validation.js";
import { type RegularFile, readBytes } from "../files/regular-file.js";
import { markName } from "./mark.js";
import type { StoredTensor } from "./stored-tensor.js";
import { bitsOf, checkLayout, contiguousStrides, elementCount, mostTensors } from "./tensor-layout.js";

const lengthBytes = 8;
/** Enough for a hundred thousand tensors. The format's own limit is 100 MB, which would take long to parse. */
const longestHeader = 16 * 2 ** 20;

const rowFields = v.object({
  dtype: v.string(),
  shape: v.array(wholeNumber(0)),
  data_offsets: v.tuple([wholeNumber(0), wholeNumber(0)]),
});

function truncated(file: string, expected: number, size: number): AttentionBypassError {
  return new AttentionBypassError(
    "WEIGHTS_TRUNCATED",
    `expected ${file} to be at least ${expected} bytes long but it ends at ${size}; download it again`,
  );
}

const invalid = (message: string) => new AttentionBypassError("WEIGHTS_INVALID", message);

/** Returns a name that occurs twice at the top level of a JSON object. `JSON.parse` does not report these. */
function repeatedName(text: string): string | undefined {
  const names = new Set<string>();
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") depth--;
    if (character !== '"') continue;
    const begin = at++;
    while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    if (depth !== 1) continue;
    let next = at + 1;
    while (/\s/.test(text[next] ?? "")) next++;
    if (text[next] !== ":") continue;
    const name: string = JSON.parse(text.slice(begin, at + 1));
    if (names.has(name)) return name;
    names.add(name);
  }
  return undefined;
}

/** The entry of the header that names no tensor. */
const metadataName = "__metadata__";

function parseHeader(text: string, file: string): { rows: [string, unknown][]; metadata: unknown } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw invalid(
      `expected a safetensors header of JSON in ${file} but parsing failed: ` +
        quoted((error as Error).message, longestMessage),
    );
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw invalid(`expected a safetensors header with an object in ${file} but received ${quoted(text)}`);
  }
  const repeated = repeatedName(text);
  if (repeated !== undefined) throw invalid(`expected each tensor once in ${file} but ${quoted(repeated)} is repeated`);
  const entries = Object.entries(json);
  return {
    rows: entries.filter(([name]) => name !== metadataName),
    metadata: entries.find(([name]) => name === metadataName)?.[1],
  };
}

/** Returns the mark of this package in the metadata. Metadata of other programs can be anything. */
function markIn(metadata: unknown): string | undefined {
  const mark = typeof metadata === "object" && metadata !== null && Object.entries(metadata);
  const found = mark ? mark.find(([name]) => name === markName)?.[1] : undefined;
  return typeof found === "string" ? found : undefined;
}

/** The header of a safetensors file. */
export interface SafetensorsHeader {
  readonly tensors: readonly StoredTensor[];
  /** The text of the mark of this package; undefined for a file of another program. */
  readonly mark: string | undefined;
}

/**
 * Checks that each byte after the header belongs to exactly one tensor, as the format requires. Tensors can be in any
 * order.
 */
function checkPlaces(tensors: readonly StoredTensor[], begin: number, size: number, file: string): void {
  let end = begin;
  for (const tensor of [...tensors].sort((one, other) => one.begin - other.begin || one.end - other.end)) {
    if (tensor.begin !== end) {
      throw invalid(
        `expected tensor ${quoted(tensor.name)} in ${file} to begin where the one before it ends, at ${end - begin}, ` +
          `but its data_offsets begin at ${tensor.begin - begin}`,
      );
    }
    end = tensor.end;
  }
  if (end < size) throw invalid(`expected ${file} to end with its tensors, at ${end}, but it is ${size} bytes long`);
}

/**
 * Reads the header of a safetensors file: the length (eight bytes, little-endian), then JSON. The tensors' bytes are
 * not read. Throws WEIGHTS_INVALID, WEIGHTS_TRUNCATED, TENSOR_SHAPE, TENSOR_DTYPE.
 */
export async function readSafetensorsHeader(file: RegularFile): Promise<SafetensorsHeader> {
  const { path, size } = file;
  if (size < lengthBytes) throw truncated(path, lengthBytes, size);
  const length = Number((await readBytes(file, 0, lengthBytes)).readBigUInt64LE());
  if (length > longestHeader) {
    throw invalid(
      `expected a safetensors header of at most ${longestHeader} bytes in ${path} but its length is given as ${length}`,
    );
  }
  const begin = lengthBytes + length;
  if (begin > size) throw truncated(path, begin, size);
  const { rows, metadata } = parseHeader((await readBytes(file, lengthBytes, length)).toString("utf8"), path);
  if (rows.length > mostTensors) {
    throw invalid(`expected at most ${mostTensors} tensors in ${path} but received ${rows.length}`);
  }
  const tensors = rows.map(([name, row]): StoredTensor => {
    const fields = validate(rowFields, row, `tensor ${quoted(name)} in ${path}`, "WEIGHTS_INVALID");
    const { dtype, shape, data_offsets } = fields;
    const [from, to] = data_offsets;
    const tensor = { name, dtype, shape, strides: contiguousStrides(shape), begin: begin + from, end: begin + to };
    const bits = bitsOf(tensor, path);
    checkLayout(tensor, Number.MAX_SAFE_INTEGER, path);
    const bytes = (elementCount(shape) * bits) / 8;
    if (to - from !== bytes) {
      throw new AttentionBypassError(
        "TENSOR_SHAPE",
        `expected tensor ${quoted(name)} in ${path} to take the ${bytes} bytes of its shape [${shape.join(", ")}] ` +
          `in ${dtype} but its data_offsets take ${to - from}`,
      );
    }
    return tensor;
  });
  const end = tensors.reduce((latest, tensor) => Math.max(latest, tensor.end), begin);
  if (end > size) throw truncated(path, end, size);
  checkPlaces(tensors, begin, size, path);
  return { tensors, mark: markIn(metadata) };
}
