import { AttentionBypassError } from "../errors/errors.js";
import { quoted } from "../errors/quoted.js";

/** The most characters of a tensor's name, more than any checkpoint uses. */
const longestName = 512;
/** The most axes of a weight. The work of making a tensor contiguous grows with their square. */
const mostAxes = 8;
/** The most tensors in a file, more than any checkpoint has. */
export const mostTensors = 100_000;

/** The bits per element, by the dtype's name in safetensors. */
const elementBits: ReadonlyMap<string, number> = new Map([
  ["F64", 64],
  ["F32", 32],
  ["F16", 16],
  ["BF16", 16],
  ["F8_E4M3", 8],
  ["F8_E5M2", 8],
  ["F8_E8M0", 8],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
  ["F4", 4],
  ["C64", 64],
  ["C128", 128],
  ["I64", 64],
  ["I32", 32],
  ["I16", 16],
  ["I8", 8],
  ["U64", 64],
  ["U32", 32],
  ["U16", 16],
  ["U8", 8],
  ["BOOL", 8],
]);

/** A tensor as a file describes it. */
export interface TensorLayout {
  readonly name: string;
  /** The dtype by its name in safetensors. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** The strides in elements. */
  readonly strides: readonly number[];
}

/** Returns the bits per element. Throws TENSOR_DTYPE. */
export function bitsOf({ name, dtype }: TensorLayout, file: string): number {
  const bits = elementBits.get(dtype);
  if (bits !== undefined) return bits;
  throw new AttentionBypassError(
    "TENSOR_DTYPE",
    `expected tensor ${quoted(name)} in ${file} to be of a dtype such as F32, F16 or BF16 but received ${quoted(dtype)}`,
  );
}

/** Returns the number of elements; Infinity if it is too large for an exact number. */
export function elementCount(shape: readonly number[]): number {
  if (shape.includes(0)) return 0;
  const product = shape.reduce((count, size) => count * size, 1);
  return product <= Number.MAX_SAFE_INTEGER ? product : Number.POSITIVE_INFINITY;
}

/** Returns the strides of a contiguous tensor. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let step = 1;
  for (const size of shape.toReversed()) {
    strides.push(step);
    step *= Math.max(size, 1);
  }
  return strides.reverse();
}

/** Returns the distance from the first element to the last, in elements; undefined if two elements may overlap. */
function extent({ shape, strides }: TensorLayout): number | undefined {
  if (shape.includes(0)) return 0;
  const axes = shape
    .map((size, axis) => ({ size, stride: strides[axis] ?? 0 }))
    .filter(({ size }) => size > 1)
    .sort((one, other) => one.stride - other.stride);
  let covered = 1;
  for (const { size, stride } of axes) {
    if (stride < covered) return undefined;
    covered += (size - 1) * stride;
  }
  return covered;
}

/**
 * Checks a file's description of a tensor: its name, its number of axes, and that its elements do not overlap and are
 * within the `available` elements. Throws TENSOR_SHAPE and WEIGHTS_INVALID.
 */
export function checkLayout(tensor: TensorLayout, available: number, file: string): void {
  const { name, shape, strides } = tensor;
  if (name.length > longestName) {
    throw new AttentionBypassError(
      "WEIGHTS_INVALID",
      `expected names of tensors in ${file} of at most ${longestName} characters but ${quoted(name)} has ${name.length}`,
    );
  }
  const wrong = (reason: string) =>
    new AttentionBypassError("TENSOR_SHAPE", `expected tensor ${quoted(name)} in ${file} to ${reason}`);
  if (shape.length > mostAxes) throw wrong(`have at most ${mostAxes} axes but received ${shape.length}`);
  if (strides.length !== shape.length) {
    throw wrong(`have a stride for each of its ${shape.length} axes but received ${strides.length}`);
  }
  if (elementCount(shape.map((size) => Math.max(size, 1))) === Number.POSITIVE_INFINITY) {
    throw wrong(`have a shape that a file can hold but received [${shape.join(", ")}]`);
  }
  const needed = extent(tensor);
  if (needed === undefined) {
    throw wrong(
      `have no overlapping elements but received the shape [${shape.join(", ")}] with the strides [${strides.join(", ")}]`,
    );
  }
  if (needed > available) {
    throw wrong(
      `take at most the ${available} elements that the file has for it but its shape [${shape.join(", ")}] ` +
        `and strides [${strides.join(", ")}] take ${needed}`,
    );
  }
}
