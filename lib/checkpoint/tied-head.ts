import { type FileHandle, open } from "node:fs/promises";
import type { NativeSource, NativeTensor } from "../addon/native.js";
import type { ModelConfig } from "../families/config.js";

/** The bytes that are compared at a time. */
const chunkBytes = 2 ** 20;

const headNames = /(?:^|\.)(?:embed_out|lm_head)\.weight$/;
const embeddingNames = /(?:^|\.)(?:embed_in|wte)\.weight$/;

const bytesOf: Readonly<Record<string, number>> = { F64: 8, F32: 4, BF16: 2, F16: 2 };

function isSamePlace(one: NativeTensor, other: NativeTensor): boolean {
  return one.file === other.file && one.begin === other.begin;
}

/** Returns whether two tensors have the same dtype, shape and strides, so that equal bytes mean equal matrices. */
function areAlike(one: NativeTensor, other: NativeTensor): boolean {
  return one.dtype === other.dtype && `${one.shape}:${one.strides}` === `${other.shape}:${other.strides}`;
}

async function read(file: FileHandle, buffer: Buffer, position: number, length: number): Promise<Buffer> {
  const { bytesRead } = await file.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}

async function holdSameBytes(
  one: NativeTensor,
  other: NativeTensor,
  pathOf: (tensor: NativeTensor) => string,
): Promise<boolean> {
  if (!areAlike(one, other)) return false;
  const bytes = one.shape.reduce((count, size) => count * size, bytesOf[one.dtype] ?? 1);
  const files = await Promise.all([open(pathOf(one)), open(pathOf(other))]);
  try {
    const buffers = [Buffer.alloc(chunkBytes), Buffer.alloc(chunkBytes)] as const;
    for (let done = 0; done < bytes; done += chunkBytes) {
      const length = Math.min(chunkBytes, bytes - done);
      const [chunk, otherChunk] = await Promise.all([
        read(files[0], buffers[0], one.begin + done, length),
        read(files[1], buffers[1], other.begin + done, length),
      ]);
      if (!chunk.equals(otherChunk)) return false;
      // A file that is too short is reported when the weights are loaded.
      if (chunk.length < length) break;
    }
    return true;
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

/**
 * Returns the config with `tiedEmbedding: false` if the config says that the embeddings are tied but the weights
 * contain a different output embedding. transformers also follows the weights.
 */
export async function withHeadOfWeights(config: ModelConfig, { files, tensors }: NativeSource): Promise<ModelConfig> {
  if (!config.tiedEmbedding) return config;
  const head = tensors.find(({ name }) => headNames.test(name));
  const embedding = tensors.find(({ name }) => embeddingNames.test(name));
  if (!head || !embedding || isSamePlace(head, embedding)) return config;
  const pathOf = ({ file }: NativeTensor) => files[file]?.path ?? "";
  // A file that can't be read is reported when the weights are loaded.
  const tiedEmbedding = await holdSameBytes(head, embedding, pathOf).catch(() => true);
  return { ...config, tiedEmbedding };
}
