/**
 * Reports progress to a callback of the caller. The fractions only increase, up to 1. If the callback throws, or
 * returns a promise that rejects, the work is aborted and that error becomes the call's error.
 */
export class Progress {
  #failure: { error: unknown } | undefined;
  #last = 0;
  readonly #pending = new Set<Promise<unknown>>();

  constructor(
    private readonly callback: (fraction: number) => unknown,
    /** Cancels the work. */
    private readonly abort: () => void = () => {},
  ) {}

  report(fraction: number): void {
    if (fraction <= this.#last || this.#failure) return;
    this.#last = fraction;
    try {
      const returned = this.callback(fraction);
      if (typeof returned === "object" && returned !== null) this.#wait(Promise.resolve(returned));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Throws the callback's error, if it has failed. */
  check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits for the promises that the callback returned. Throws the callback's error. */
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
