import type { ModelConfig } from "../families/model-config.js";

/** Where the numbers of this file are from, and how exact they are. */
export const source =
  "Menta, Agrawal and Agarwal, NAACL 2025 (long.535), arXiv 2501.05078; read off the figures, about ±0.01";

/** The largest error of reading a number off a figure. */
export const precision = 0.01;

/** Exact match on memorized samples, and the mean accuracy over the paper's five benchmarks. */
export interface PublishedScores {
  exactMatch: number;
  accuracy: number;
}

/** What the paper reports of one model, with attention short-circuited. */
export interface PublishedModel {
  /** The name of the model. */
  name: string;
  /** The sizes of the model, which a loaded model must have to be compared with it. */
  shape: Pick<
    ModelConfig,
    "family" | "blockCount" | "hiddenSize" | "headCount" | "intermediateSize" | "vocabularySize"
  >;
  /** The number of tokens in the prefix and the suffix of the samples. Absent if it is not known. */
  samples?: { prefixLength: number; suffixLength: number };
  /** The scores of the unmodified model. */
  unmodified: PublishedScores;
  /** The scores with one block short-circuited. Blocks are numbered from 0 here and from 1 in the paper. */
  blocks?: (PublishedScores & { block: number })[];
  /** The range of the scores with one late block short-circuited. */
  lateBlocks?: { exactMatch: readonly [number, number]; accuracy: readonly [number, number]; except?: PublishedScores };
}

const pythia = (
  blockCount: number,
  hiddenSize: number,
  headCount: number,
  vocabularySize: number,
): PublishedModel["shape"] => ({
  family: "gpt-neox",
  blockCount,
  hiddenSize,
  headCount,
  intermediateSize: 4 * hiddenSize,
  vocabularySize,
});

/** The models of the paper of which numbers are known here. */
export const publishedModels: readonly PublishedModel[] = [
  {
    name: "GPT-Neo 1.3B",
    shape: {
      family: "gpt-neo",
      blockCount: 24,
      hiddenSize: 2048,
      headCount: 16,
      intermediateSize: 8192,
      vocabularySize: 50257,
    },
    // The rows of the language-model extraction benchmark.
    samples: { prefixLength: 50, suffixLength: 50 },
    unmodified: { exactMatch: 1, accuracy: 0.563 },
    blocks: [
      { block: 0, exactMatch: 0.04, accuracy: 0.548 },
      { block: 1, exactMatch: 0.01, accuracy: 0.54 },
      { block: 2, exactMatch: 0, accuracy: 0.41 },
      { block: 3, exactMatch: 0, accuracy: 0.27 },
      { block: 4, exactMatch: 0, accuracy: 0.31 },
      { block: 5, exactMatch: 0, accuracy: 0.39 },
      { block: 15, exactMatch: 0.17, accuracy: 0.519 },
      { block: 21, exactMatch: 0.38, accuracy: 0.558 },
      { block: 22, exactMatch: 0.48, accuracy: 0.559 },
      { block: 23, exactMatch: 0.74, accuracy: 0.554 },
    ],
  },
  {
    name: "Pythia 1.4B",
    shape: pythia(24, 2048, 16, 50304),
    unmodified: { exactMatch: 0.829, accuracy: 0.708 },
    lateBlocks: { exactMatch: [0.31, 0.74], accuracy: [0.7, 0.71] },
  },
  { name: "Pythia 2.8B", shape: pythia(32, 2560, 32, 50304), unmodified: { exactMatch: 0.828, accuracy: 0.739 } },
  { name: "Pythia 6.9B", shape: pythia(32, 4096, 32, 50432), unmodified: { exactMatch: 0.811, accuracy: 0.752 } },
  {
    name: "Pythia 12B",
    shape: pythia(36, 5120, 40, 50688),
    unmodified: { exactMatch: 0.811, accuracy: 0.76 },
    // All late blocks but one near the end.
    lateBlocks: { exactMatch: [0.55, 0.68], accuracy: [0.76, 0.76], except: { exactMatch: 0.01, accuracy: 0.63 } },
  },
];

/**
 * Returns the model of the paper with the family and the sizes of a config, or undefined. The weights are not compared: a
 * model with more training has the same sizes.
 */
export function publishedWithShape(config: ModelConfig): PublishedModel | undefined {
  return publishedModels.find(({ shape }) =>
    Object.entries(shape).every(([name, value]) => config[name as keyof ModelConfig] === value),
  );
}
