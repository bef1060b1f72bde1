import { constants } from "node:os";

const signals = ["SIGINT", "SIGTERM"] as const;

/** Returns a signal that aborts at the first SIGINT or SIGTERM. A second one ends the process. */
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

/** The exit code of an interrupted process, 128 plus the number of the signal; undefined if it was not interrupted. */
export function interruptedExitCode(signal: AbortSignal): number | undefined {
  return signal.aborted ? (signal.reason as number) : undefined;
}
