import { AttentionBypassError } from "../errors/errors.js";
import { quoted } from "../errors/quoted.js";

/** Longer names than any checkpoint has; what is made of names, and messages, stay short. */
const longestName = 512;
/** More axes than any weight has; the work of making a tensor contiguous grows with their square. */
const mostAxes = 8;
/** More tensors than any checkpoint has. */
export const mostTensors = 100_000;

/** The bits of an element, by the dtypes' names in safetensors. */
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
  /** As safetensors spells it. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
}

/** The bits of an element. Throws TENSOR_DTYPE. */
export function bitsOf({ name, dtype }: TensorLayout, file: string): number {
  const bits = elementBits.get(dtype);
  if (bits !== undefined) return bits;
  throw new AttentionBypassError(
    "TENSOR_DTYPE",
    `expected tensor ${quoted(name)} in ${file} to be of a dtype such as F32, F16 or BF16 but received ${quoted(dtype)}`,
  );
}

/** The number of elements; Infinity where it is beyond what numbers hold exactly. */
export function elementCount(shape: readonly number[]): number {
  if (shape.includes(0)) return 0;
  const product = shape.reduce((count, size) => count * size, 1);
  return product <= Number.MAX_SAFE_INTEGER ? product : Number.POSITIVE_INFINITY;
}

/** The strides of a tensor whose rows lie one after the other. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let step = 1;
  for (const size of shape.toReversed()) {
    strides.push(step);
    step *= Math.max(size, 1);
  }
  return strides.reverse();
}

/** How many elements from the first one to the last; undefined where two of them may lie in one place. */
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
 * Checks what a file says of a tensor: its name and number of axes, and that its elements lie apart, within the
 * elements that it may use. Throws TENSOR_SHAPE and WEIGHTS_INVALID.
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
      `have an element in each place but received the shape [${shape.join(", ")}] with the strides [${strides.join(", ")}]`,
    );
  }
  if (needed > available) {
    throw wrong(
      `take at most the ${available} elements that the file holds of it but its shape [${shape.join(", ")}] ` +
        `and strides [${strides.join(", ")}] take ${needed}`,
    );
  }
}
