import { setTimeout as sleep } from "node:timers/promises";
import lockfile from "proper-lockfile";

export interface LockOptions {
  signal?: AbortSignal | undefined;
  /** Called once if another process has the lock, before this one waits for it. */
  onWait?: () => void;
  /** Called if another process has taken the lock, because this one was suspended for long. */
  onLost?: () => void;
}

/**
 * Waits for a lock between processes, the folder `place`.lock, and returns a function that releases it. A killed process
 * loses it after 5 seconds.
 */
export async function lock(place: string, { signal, onWait, onLost }: LockOptions): Promise<() => Promise<void>> {
  let waiting = false;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await lockfile.lock(place, {
        realpath: false,
        stale: 5_000,
        update: 1_000,
        onCompromised: () => onLost?.(),
      });
    } catch (error) {
      if ((error as { code?: string }).code !== "ELOCKED") throw error;
    }
    if (!waiting) onWait?.();
    waiting = true;
    await sleep(300, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}
