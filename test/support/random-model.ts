import { writeFile } from "node:fs/promises";
import path from "node:path";
import { tensorsOf } from "../../bench/random-checkpoint.mjs";

export interface RandomModel {
  blocks?: number;
  width?: number;
  heads?: number;
  vocabulary?: number;
  contextLength?: number;
  seed?: number;
}

/** Numbers from -1 to 1, the same for a seed on every machine (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) / 2 ** 31;
  };
}

/** Random token ids. */
export function randomTokens(length: number, vocabulary: number, seed = 1): number[] {
  const next = randomNumbers(seed);
  return Array.from({ length }, () => Math.floor(((next() + 1) / 2) * vocabulary));
}

export interface RandomTensor {
  name: string;
  shape: readonly number[];
  /** Makes the next element, in the order of storage. */
  value: (index: number) => number;
}

/** Writes tensors as float32 into a folder's model.safetensors. */
export async function writeWeights(folder: string, tensors: readonly RandomTensor[]): Promise<void> {
  const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
  const header: Record<string, object> = {};
  let count = 0;
  for (const { name, shape } of tensors) {
    const begin = count;
    count += sizeOf(shape);
    header[name] = { dtype: "F32", shape, data_offsets: [4 * begin, 4 * count] };
  }
  const weights = new Float32Array(count);
  let offset = 0;
  for (const { shape, value } of tensors) {
    for (let index = 0; index < sizeOf(shape); index++) weights[offset++] = value(index);
  }
  let text = JSON.stringify(header);
  text = text.padEnd(8 * Math.ceil(text.length / 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  await writeFile(path.join(folder, "model.safetensors"), [length, Buffer.from(text), new Uint8Array(weights.buffer)]);
}

/** Writes a GPT-NeoX checkpoint of random weights into a folder: by default 21 million of them, 85 MB. */
export async function writeRandomModel(
  folder: string,
  { blocks = 6, width = 512, heads = 8, vocabulary = 2000, contextLength = 1024, seed = 1 }: RandomModel = {},
): Promise<void> {
  const shapes = tensorsOf({ blocks, width, vocabulary });
  const next = randomNumbers(seed);
  const scale = 2 / Math.sqrt(width);
  await writeWeights(
    folder,
    shapes.map(([name, shape]) => ({
      name,
      shape,
      // Of the norms alone.
      value: /norm\.weight$/.test(name) ? () => 1 : () => scale * next(),
    })),
  );
  const config = {
    model_type: "gpt_neox",
    num_hidden_layers: blocks,
    hidden_size: width,
    intermediate_size: 4 * width,
    num_attention_heads: heads,
    vocab_size: vocabulary,
    max_position_embeddings: contextLength,
    tie_word_embeddings: false,
  };
  await writeFile(path.join(folder, "config.json"), JSON.stringify(config));
}
