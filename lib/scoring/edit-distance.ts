/**
 * Returns the Levenshtein distance of two sequences of tokens: the smallest number of insertions, deletions and
 * substitutions of a token that turns one into the other. In memory for one row of the table of distances.
 */
export function editDistance(left: ArrayLike<number>, right: ArrayLike<number>): number {
  // The distances of the tokens of `left` that were read from each beginning of `right`.
  const distances = Int32Array.from({ length: right.length + 1 }, (_, length) => length);
  for (let read = 0; read < left.length; read++) {
    const token = left[read];
    let diagonal = read;
    let before = read + 1;
    distances[0] = before;
    for (let index = 0; index < right.length; index++) {
      const above = distances[index + 1] as number;
      before = token === right[index] ? diagonal : 1 + Math.min(diagonal, above, before);
      distances[index + 1] = before;
      diagonal = above;
    }
  }
  return distances[right.length] as number;
}
