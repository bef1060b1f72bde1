import { node } from "../files/node.js";
import type { ScoredRow } from "../scoring/scored-row.js";

/** The number of bytes of a hash that form a seed. */
const seedBytes = 6;

/**
 * Returns a function that gives the seed of each continuation of a row: the first 48 bits, little-endian, of the SHA-256
 * of 64-bit little-endian integers: the call's seed, the index of the first suffix token, the tokens of the row, and the
 * continuation's number. A row with other rows, in another order or under another plan has the same seeds.
 */
export function continuationSeeds({ tokens, first }: ScoredRow, seed: number): (continuation: number) => number {
  const bytes = (numbers: readonly number[]) => new Uint8Array(BigInt64Array.from(numbers, BigInt).buffer);
  const ofRow = node.crypto.createHash("sha256").update(bytes([seed, first, ...tokens]));
  return (continuation) =>
    ofRow
      .copy()
      .update(bytes([continuation]))
      .digest()
      .readUIntLE(0, seedBytes);
}
