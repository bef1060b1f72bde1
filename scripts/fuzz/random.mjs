// Random numbers that depend only on the seed, on all machines.

/** A generator of random numbers from 0 to 1 (mulberry32) and of derived values. */
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed | 0;
  }

  /** A number from 0 (included) to 1 (excluded). */
  share() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number below a limit. */
  below(limit) {
    return Math.floor(this.share() * limit);
  }

  /** A whole number, small ones more often. */
  small(limit) {
    return Math.floor(limit ** this.share());
  }

  chance(probability) {
    return this.share() < probability;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  bytes(count) {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)));
  }
}

/** Returns a separate generator for each case of a run, so that one case can be repeated without those before it. */
export function randomOf(...parts) {
  let hash = 0x811c9dc5;
  for (const character of parts.join(" ")) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
  return new Random(hash);
}
