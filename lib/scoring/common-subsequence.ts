/**
 * Returns the length of the longest common subsequence of two sequences of tokens: the most tokens that both have in
 * the same order, with any others between them. In memory for one row of the table of lengths.
 */
export function commonSubsequence(left: ArrayLike<number>, right: ArrayLike<number>): number {
  // The lengths for the tokens of `left` that were read and each beginning of `right`.
  const lengths = new Int32Array(right.length + 1);
  for (let read = 0; read < left.length; read++) {
    const token = left[read];
    let diagonal = 0;
    let before = 0;
    for (let index = 0; index < right.length; index++) {
      const above = lengths[index + 1] as number;
      before = token === right[index] ? diagonal + 1 : Math.max(above, before);
      lengths[index + 1] = before;
      diagonal = above;
    }
  }
  return lengths[right.length] as number;
}
