import type { ModelConfig } from "./model-config.js";

/** Returns the number of parameters of a model. A tied output embedding is not counted again. */
export function parameterCount({
  family,
  blockCount,
  hiddenSize,
  intermediateSize,
  vocabularySize,
  contextLength,
  tiedEmbedding,
  attentionBias,
}: ModelConfig): number {
  const norm = 2 * hiddenSize;
  const projections = 4 * hiddenSize ** 2 + (attentionBias ? 3 * hiddenSize : 0);
  // GPT-Neo has a bias only after attention.
  const outputBias = attentionBias || family === "gpt-neo" ? hiddenSize : 0;
  const mlp = 2 * hiddenSize * intermediateSize + intermediateSize + hiddenSize;
  const embeddings = (tiedEmbedding ? 1 : 2) * vocabularySize * hiddenSize;
  const positions = family === "gpt-neox" ? 0 : contextLength * hiddenSize;
  return blockCount * (projections + outputBias + mlp + 2 * norm) + norm + embeddings + positions;
}
