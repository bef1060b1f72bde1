import { readdir } from "node:fs/promises";
import path from "node:path";
import { openSource } from "../checkpoint/source.js";
import { AttentionBypassError, messageOf } from "../errors/errors.js";
import type { OperationOptions } from "../operation/operation.js";
import { hashFile } from "../scoring/fingerprint.js";
import type { Checkpoint, Checkpoints, WeightHash } from "./checkpoints.js";

/** The checkpoints in a folder, as training scripts write them: a folder for each, such as checkpoint-500. */
export class FolderCheckpoints implements Checkpoints {
  constructor(
    private readonly folder: string,
    /** The key of the model in weights that contain several. */
    private readonly key: string | undefined,
  ) {}

  async list(): Promise<string[]> {
    const entries = await readdir(this.folder, { withFileTypes: true }).catch((error: unknown) => {
      throw new AttentionBypassError(
        "FILE_NOT_FOUND",
        `expected a folder with a folder for each checkpoint in ${this.folder} but ${messageOf(error)}`,
        { cause: error },
      );
    });
    return entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink()).map(({ name }) => name);
  }

  async find(name: string, { signal }: OperationOptions): Promise<Checkpoint> {
    const { weights } = await openSource(path.join(this.folder, name), { key: this.key });
    const hashes: WeightHash[] = [];
    for (const file of weights.files) {
      const { name: base, sha256 } = await hashFile(file, signal);
      hashes.push({ path: base, size: Number(file.size), hash: sha256 });
    }
    return { name, weights: hashes };
  }

  isAbsent(): Promise<boolean> {
    return Promise.resolve(false);
  }

  fetch({ name }: Checkpoint): Promise<string> {
    return Promise.resolve(path.join(this.folder, name));
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }
}
