// The fewest floating-point operations of matrix products that the definitions of a sweep's metrics allow, counted
// apart from the package: what the plans share is computed once, and nothing that nobody reads.

/**
 * @param {{ family: string, blockCount: number, hiddenSize: number, intermediateSize: number, vocabularySize: number, parallelResidual: boolean }} config
 * @param {{ rows: number, length: number, prefixLength: number }} samples
 * @param {number[]} decoded tokens that are decoded under each plan, the unmodified model first; empty where none are
 */
export function leastOperations(config, { rows, length, prefixLength }, decoded) {
  const { blockCount, hiddenSize: d, intermediateSize, vocabularySize } = config;
  const parallel = config.family === "gpt-neox" && config.parallelResidual;
  const keysAndValues = 4 * d * d;
  const queriesAndOutput = 4 * d * d;
  const mlp = 4 * d * intermediateSize;
  const head = 2 * d * vocabularySize;
  const all = rows * (length - 1);
  const read = rows * (length - prefixLength);
  // A token's query meets the keys up to its own.
  const pairs = (from, to) => (rows * (to * (to + 1) - from * (from + 1))) / 2;
  const mixAll = 4 * d * pairs(0, length - 1);
  const mixRead = 4 * d * pairs(prefixLength - 1, length - 1);

  const whole = all * (keysAndValues + queriesAndOutput + mlp) + mixAll;
  const last = all * keysAndValues + read * (queriesAndOutput + mlp) + mixRead;
  const from = (block) => Math.max(0, blockCount - 1 - block) * whole + (block < blockCount ? last : 0);
  let sum = from(0);
  for (let block = 0; block < blockCount; block++) {
    // In its own block a variant lacks attention; beside attention, the MLP is the unmodified model's.
    if (!parallel) sum += (block === blockCount - 1 ? read : all) * mlp;
    sum += from(block + 1);
  }
  sum += (blockCount + 1) * read * head;
  for (const [plan, tokens] of decoded.entries()) {
    const attending = plan === 0 ? blockCount : blockCount - 1;
    sum += tokens * (attending * (keysAndValues + queriesAndOutput) + blockCount * mlp + head);
  }
  return sum;
}
