/**
 * A receiver of progress, which never falls and ends at 1. What the caller's receiver throws, or what a promise that it
 * returns rejects with, ends the work and is the call's error.
 */
export class Progress {
  #failure: { error: unknown } | undefined;
  #last = 0;
  readonly #pending = new Set<Promise<unknown>>();

  constructor(
    private readonly receiver: (share: number) => unknown,
    /** Ends the work. */
    private readonly abort: () => void = () => {},
  ) {}

  report(share: number): void {
    if (share <= this.#last || this.#failure) return;
    this.#last = share;
    try {
      const returned = this.receiver(share);
      if (typeof returned === "object" && returned !== null) this.#wait(Promise.resolve(returned));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Throws what the receiver has thrown. */
  check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits for what the receiver still does. Throws what it has thrown. */
  async finish(): Promise<void> {
    await Promise.all(this.#pending);
    this.check();
  }

  #wait(returned: Promise<unknown>): void {
    const settled: Promise<unknown> = returned
      .catch((error: unknown) => this.#fail(error))
      .finally(() => this.#pending.delete(settled));
    this.#pending.add(settled);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.abort();
  }
}
