import { open } from "node:fs/promises";
import * as v from "valibot";
import { AttentionBypassError, systemCode } from "./errors.js";
import type { NativeTensor } from "./native.js";
import { validate, wholeNumber } from "./validation.js";

const lengthBytes = 8;
/** The format's own limit. */
const longestHeader = 100_000_000;

const headerFields = v.record(
  v.string(),
  v.object({
    dtype: v.string(),
    shape: v.array(wholeNumber(0)),
    data_offsets: v.tuple([wholeNumber(0), wholeNumber(0)]),
  }),
);

function truncated(file: string, expected: number, size: number): AttentionBypassError {
  return new AttentionBypassError(
    "WEIGHTS_TRUNCATED",
    `expected ${file} to be at least ${expected} bytes long but it ends at ${size}`,
  );
}

/** The strides of a tensor whose rows lie one after the other. */
function contiguous(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
}

/**
 * Reads the header of a safetensors file: eight bytes of length, little-endian, then JSON. The tensors' bytes stay
 * where they are. Throws WEIGHTS_MISSING, WEIGHTS_INVALID, WEIGHTS_TRUNCATED.
 */
export async function readSafetensorsHeader(file: string): Promise<NativeTensor[]> {
  const handle = await open(file).catch((error: unknown) => {
    if (systemCode(error) !== "ENOENT") throw error;
    throw new AttentionBypassError("WEIGHTS_MISSING", `expected weights in ${file} but there is no such file`);
  });
  try {
    const { size } = await handle.stat();
    if (size < lengthBytes) throw truncated(file, lengthBytes, size);
    const length = (await handle.read(Buffer.alloc(lengthBytes), 0, lengthBytes, 0)).buffer.readBigUInt64LE();
    const begin = lengthBytes + Number(length);
    if (length > longestHeader) {
      throw new AttentionBypassError("WEIGHTS_INVALID", `expected a safetensors header in ${file} but found none`);
    }
    if (begin > size) throw truncated(file, begin, size);
    const { buffer } = await handle.read(Buffer.alloc(Number(length)), 0, Number(length), lengthBytes);
    let json: unknown;
    try {
      json = JSON.parse(buffer.toString("utf8"));
    } catch (error) {
      throw new AttentionBypassError(
        "WEIGHTS_INVALID",
        `expected a safetensors header in ${file} but ${(error as Error).message}`,
      );
    }
    const { __metadata__, ...rows } = validate(v.looseObject({}), json, file, "WEIGHTS_INVALID");
    const tensors = Object.entries(validate(headerFields, rows, file, "WEIGHTS_INVALID")).map(([name, row]) => {
      const [from, to] = row.data_offsets;
      const { dtype, shape } = row;
      return { name, dtype, shape, strides: contiguous(shape), file, begin: begin + from, end: begin + to };
    });
    const end = tensors.reduce((latest, tensor) => Math.max(latest, tensor.end), 0);
    if (end > size) throw truncated(file, end, size);
    return tensors;
  } finally {
    await handle.close();
  }
}
