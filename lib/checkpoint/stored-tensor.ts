import type { TensorLayout } from "./tensor-layout.js";

/** A tensor and where its bytes are in its file. */
export interface StoredTensor extends TensorLayout {
  readonly begin: number;
  readonly end: number;
}

/** A tensor that a file lists, which may also list much that no model needs. */
export interface ListedTensor {
  readonly name: string;
  /** Checks what the file says of it. Throws TENSOR_SHAPE, TENSOR_DTYPE, WEIGHTS_INVALID. */
  locate(): StoredTensor;
}
