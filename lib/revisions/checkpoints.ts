import type { OperationOptions } from "../operation/operation.js";

/** A file of weights, identified by its content. */
export interface WeightHash {
  /** The path of the file in the checkpoint's folder. */
  path: string;
  /** The size in bytes. */
  size: number;
  /**
   * The SHA-256 of the content in hexadecimal digits. For a file that the hub keeps outside of Git LFS, its Git SHA-1.
   */
  hash: string;
}

/** One checkpoint of a training, before anything of it is downloaded. */
export interface Checkpoint {
  /** The name of the branch, tag or folder, such as "step1000", or a commit. */
  name: string;
  /** The commit on the hub. Absent for a folder. */
  commit?: string;
  /** The weight files. */
  weights: WeightHash[];
}

/** The checkpoints of one training: the revisions of a model on the hub, or the folders in a folder. */
export interface Checkpoints {
  /** Returns the names of all checkpoints. */
  list(operation: OperationOptions): Promise<string[]>;
  /** Returns the checkpoint with a name. Throws if there is none, or if it has no weights. */
  find(name: string, operation: OperationOptions): Promise<Checkpoint>;
  /** Returns whether anything of a checkpoint would have to be downloaded, and nothing of it is there yet. */
  isAbsent(checkpoint: Checkpoint): Promise<boolean>;
  /** Returns the checkpoint's folder, after downloading it if necessary. */
  fetch(checkpoint: Checkpoint, operation: OperationOptions): Promise<string>;
  /** Removes what `fetch` downloaded. */
  remove(checkpoint: Checkpoint): Promise<void>;
}

/** Returns a text that is equal for checkpoints with the same weights, whatever the names of the files. */
export function weightsKey({ weights }: Checkpoint): string {
  return weights
    .map(({ hash }) => hash)
    .toSorted()
    .join(" ");
}
