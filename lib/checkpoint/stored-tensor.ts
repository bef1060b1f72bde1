import type { TensorLayout } from "./tensor-layout.js";

/** A tensor and the range of its bytes in its file, from `begin` up to `end`. */
export interface StoredTensor extends TensorLayout {
  readonly begin: number;
  readonly end: number;
}

/** A tensor that a file lists. Files may list tensors that the model does not need, so details are checked later. */
export interface ListedTensor {
  readonly name: string;
  /** Checks the file's description of the tensor and returns it. Throws TENSOR_SHAPE, TENSOR_DTYPE, WEIGHTS_INVALID. */
  locate(): StoredTensor;
}
