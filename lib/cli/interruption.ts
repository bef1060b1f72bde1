import { constants } from "node:os";

const signals = ["SIGINT", "SIGTERM"] as const;

/** Aborts on the first signal; the second one kills, as it does without us. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of signals) {
    const abort = () => {
      controller.abort(128 + constants.signals[name]);
      // Not at once: signal-exit, which proper-lockfile uses, kills a process that has no other listener for the signal.
      setImmediate(() => process.off(name, abort));
    };
    process.on(name, abort);
  }
  return controller.signal;
}

/** What shells expect of a process that a signal ended; undefined where none did. */
export function interruptedExitCode(signal: AbortSignal): number | undefined {
  return signal.aborted ? (signal.reason as number) : undefined;
}
