import { onAbort } from "../operation/abort.js";
import { ApiError } from "./api-error.js";

/** The longest time that Retry-After names, in seconds. */
const longestRetry = 60;
/** The weight of the last request in the mean duration. */
const meanWeight = 0.1;

interface Waiting {
  count: number;
  admit: () => void;
}

/** Limits how many choices are computed at the same time. Requests wait in the order in which they came. */
export class Admission {
  #running = 0;
  readonly #waiting = new Set<Waiting>();
  /** The mean seconds between the admission and the end of a request. */
  #meanSeconds = 1;

  constructor(private readonly limits: { running: number; queue: number }) {}

  /** The number of choices that are computed. */
  get running(): number {
    return this.#running;
  }

  /** The number of requests that wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Waits until a request with this many choices may run. Returns a function to call at its end. Throws 429 if too many
   * wait, and the signal's reason.
   */
  async enter(choices: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const count = Math.min(choices, this.limits.running);
    if (this.#waiting.size > 0 || !this.#fits(count)) {
      if (this.#waiting.size >= this.limits.queue) throw this.#full();
      await this.#wait(count, signal);
    } else {
      this.#running += count;
    }
    const began = performance.now();
    return () => {
      this.#running -= count;
      this.#meanSeconds += meanWeight * ((performance.now() - began) / 1000 - this.#meanSeconds);
      this.#admitNext();
    };
  }

  #fits(count: number): boolean {
    return this.#running + count <= this.limits.running;
  }

  #full(): ApiError {
    const { running, queue } = this.limits;
    const seconds = Math.ceil((this.#meanSeconds * (queue + 1)) / running);
    return new ApiError(429, `expected at most ${queue} waiting requests; try again later`, {
      code: "queue_full",
      retryAfter: Math.max(1, Math.min(longestRetry, seconds)),
    });
  }

  #wait(count: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        count,
        admit: () => {
          stop();
          resolve();
        },
      };
      const stop = onAbort(signal, () => {
        this.#waiting.delete(waiting);
        reject(signal.reason);
        // The next one may need fewer choices.
        this.#admitNext();
      });
      this.#waiting.add(waiting);
    });
  }

  #admitNext(): void {
    for (const waiting of this.#waiting) {
      if (!this.#fits(waiting.count)) return;
      this.#waiting.delete(waiting);
      this.#running += waiting.count;
      waiting.admit();
    }
  }
}
