/** A pair of numbers below `base` has the unique key `first * base + second`. */
const base = 2 ** 26;
/** The tokens of words up to this many characters are cached. */
const longestKept = 64;
const mostKept = 10_000;

/** A binary heap of numbers; `pop` returns the smallest. */
class Heap {
  #items: number[] = [];

  push(value: number): void {
    const items = this.#items;
    let index = items.length;
    items.push(value);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if ((items[parent] as number) <= value) break;
      items[index] = items[parent] as number;
      index = parent;
    }
    items[index] = value;
  }

  pop(): number | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (items.length === 0 || last === undefined) return top;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && (items[child + 1] as number) < (items[child] as number)) child++;
      if ((items[child] as number) >= last) break;
      items[index] = items[child] as number;
      index = child;
    }
    items[index] = last;
    return top;
  }
}

/**
 * Byte-pair encoding of words of any length n in time O(n log n). Merges by rank, and the leftmost pair first if ranks
 * are equal.
 */
export class BytePairMerging {
  readonly #ids: ReadonlyMap<string, number>;
  /** The rank of each merge, by the key of its pair of ids. */
  readonly #ranks = new Map<number, number>();
  /** The token that each merge produces, by rank. */
  readonly #merged: number[] = [];
  readonly #kept = new Map<string, number[]>();

  /** Throws if one of the tokens of a merge, or the merged token, is not in the vocabulary. */
  constructor(
    ids: ReadonlyMap<string, number>,
    merges: Iterable<readonly [left: string, right: string]>,
    private readonly wholeWords: boolean,
  ) {
    this.#ids = ids;
    for (const [left, right] of merges) {
      const [one, other, made] = [left, right, left + right].map((token) => {
        const id = ids.get(token);
        if (id === undefined)
          throw new Error(`a merge needs the token ${JSON.stringify(token)}, which is not in the vocabulary`);
        return id;
      }) as [number, number, number];
      // If a pair is listed twice, the second rank is used, as in Python.
      this.#ranks.set(one * base + other, this.#merged.length);
      this.#merged.push(made);
    }
  }

  /** Appends the tokens of a word to `into`. Characters that are not in the vocabulary are left out. */
  encode(word: string, into: number[]): void {
    const kept = this.#kept.get(word) ?? this.#tokens(word);
    for (const id of kept) into.push(id);
    if (word.length > longestKept) return;
    if (this.#kept.size >= mostKept) this.#kept.clear();
    this.#kept.set(word, kept);
  }

  #tokens(word: string): number[] {
    const whole = this.wholeWords ? this.#ids.get(word) : undefined;
    if (whole !== undefined) return [whole];
    const tokens: number[] = [];
    for (const character of word) {
      const id = this.#ids.get(character);
      if (id !== undefined) tokens.push(id);
    }
    if (tokens.length < 2) return tokens;
    if (tokens.length >= base) throw new RangeError(`a word of ${tokens.length} characters is longer than ${base}`);
    this.#merge(tokens);
    return tokens.filter((id) => id >= 0);
  }

  /** Merges in place: a token that was merged into the one before it becomes -1. */
  #merge(tokens: number[]): void {
    const length = tokens.length;
    const next = Int32Array.from(tokens, (_, index) => index + 1);
    const previous = Int32Array.from(tokens, (_, index) => index - 1);
    const queue = new Heap();
    const rankAt = (index: number): number | undefined => {
      const right = next[index] as number;
      return right < length ? this.#ranks.get((tokens[index] as number) * base + (tokens[right] as number)) : undefined;
    };
    const propose = (index: number) => {
      const rank = rankAt(index);
      if (rank !== undefined) queue.push(rank * base + index);
    };
    for (let index = 0; index + 1 < length; index++) propose(index);
    for (let top = queue.pop(); top !== undefined; top = queue.pop()) {
      const index = top % base;
      const rank = (top - index) / base;
      // Skip an entry whose tokens were merged with others since it was queued.
      if ((tokens[index] as number) < 0 || rankAt(index) !== rank) continue;
      const right = next[index] as number;
      const after = next[right] as number;
      tokens[index] = this.#merged[rank] as number;
      tokens[right] = -1;
      next[index] = after;
      if (after < length) previous[after] = index;
      if ((previous[index] as number) >= 0) propose(previous[index] as number);
      propose(index);
    }
  }
}
