import type { NativeWeight } from "../addon/native.js";

/** One safetensors file: its name, its header, and the names of its weights in their order. */
export interface Shard {
  file: string;
  header: string;
  names: string[];
}

/** The files of a checkpoint's weights. */
export interface Shards {
  shards: Shard[];
  /** The text of model.safetensors.index.json; undefined for a single file. */
  index: string | undefined;
}

const elementBytes: Readonly<Record<NativeWeight["dtype"], number>> = { F32: 4, BF16: 2, F16: 2 };

const elementsOf = ({ shape }: NativeWeight) => shape.reduce((product, size) => product * size, 1);
const bytesOf = (weight: NativeWeight) => elementsOf(weight) * elementBytes[weight.dtype];
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** Returns groups of consecutive weights of at most `shardSize` bytes, or of one larger weight. */
function split(weights: readonly NativeWeight[], shardSize: number): NativeWeight[][] {
  const groups: NativeWeight[][] = [];
  let free = 0;
  for (const weight of weights) {
    const bytes = bytesOf(weight);
    const group = groups.at(-1);
    if (group === undefined || bytes > free) {
      groups.push([weight]);
      free = shardSize - bytes;
    } else {
      group.push(weight);
      free -= bytes;
    }
  }
  return groups;
}

/** Returns the header, padded so that the bytes after it and its length are aligned. */
function headerOf(weights: readonly NativeWeight[], metadata: Readonly<Record<string, string>>): string {
  let end = 0;
  const rows = weights.map((weight) => {
    const begin = end;
    end += bytesOf(weight);
    return [weight.name, { dtype: weight.dtype, shape: weight.shape, data_offsets: [begin, end] }] as const;
  });
  const text = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(rows) });
  return text + " ".repeat(-Buffer.byteLength(text) & 7);
}

const numbered = (index: number) => String(index).padStart(5, "0");

/**
 * Divides weights into safetensors files, as transformers does: one file of at most `shardSize` bytes, or several with an
 * index.
 */
export function toShards(
  weights: readonly NativeWeight[],
  shardSize: number,
  metadata: Readonly<Record<string, string>>,
): Shards {
  const groups = split(weights, shardSize);
  const shards = groups.map((group, index) => {
    // Wider elements first, so that every weight is aligned.
    const sorted = group.toSorted((one, other) => elementBytes[other.dtype] - elementBytes[one.dtype]);
    return {
      file:
        groups.length === 1
          ? "model.safetensors"
          : `model-${numbered(index + 1)}-of-${numbered(groups.length)}.safetensors`,
      header: headerOf(sorted, metadata),
      names: sorted.map(({ name }) => name),
    };
  });
  if (shards.length === 1) return { shards, index: undefined };
  const places = shards.flatMap(({ file, names }) => names.map((name) => [name, file] as const));
  const totals = {
    total_parameters: sum(weights.map(elementsOf)),
    total_size: sum(weights.map(bytesOf)),
  };
  return {
    shards,
    index: `${JSON.stringify({ metadata: totals, weight_map: Object.fromEntries(places) }, null, 2)}\n`,
  };
}
