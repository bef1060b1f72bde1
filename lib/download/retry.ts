import { setTimeout as sleep } from "node:timers/promises";
import { AttentionBypassError } from "../errors/errors.js";

/** The number of consecutive attempts without new data before a request fails. */
const maxAttempts = 6;
/** The longest time that a server may ask to wait, in milliseconds. */
const longestWait = 300_000;

/** A failure after which a request is repeated. */
export class RetryableError extends Error {
  constructor(
    message: string,
    /** The time that the server asks to wait, in milliseconds. */
    readonly wait = 0,
  ) {
    super(message);
  }
}

export function downloadFailed(url: string, why: string, cause?: unknown): AttentionBypassError {
  return new AttentionBypassError("DOWNLOAD_FAILED", `expected to download ${url} but ${why}`, { cause });
}

/** Returns the milliseconds of a Retry-After header: seconds or a date. */
export function retryAfter(header: string | null): number {
  if (header === null) return 0;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, 1000 * seconds) : 0;
}

/**
 * Repeats `attempt` with increasing delays while it throws a `RetryableError`. Fails after 6 attempts in a row without
 * new data, of which `size` returns the number of bytes. Throws DOWNLOAD_FAILED.
 */
export async function retrying<Value>(
  url: string,
  signal: AbortSignal | undefined,
  attempt: () => Promise<Value>,
  size: () => Promise<number> = async () => 0,
): Promise<Value> {
  let failedAttempts = 0;
  for (;;) {
    const before = await size();
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof RetryableError)) throw error;
      failedAttempts = (await size()) > before ? 1 : failedAttempts + 1;
      if (failedAttempts === maxAttempts) throw downloadFailed(url, error.message, error);
      if (error.wait > longestWait) {
        const minutes = Math.ceil(error.wait / 60_000);
        throw downloadFailed(url, `${error.message} and asks to wait ${minutes} minutes; try again then`, error);
      }
      const delay = Math.max(error.wait, 100 * 2 ** failedAttempts);
      await sleep(delay, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}
