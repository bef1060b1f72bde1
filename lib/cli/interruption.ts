import { constants } from "node:os";

const signals = ["SIGINT", "SIGTERM"] as const;

/** Aborts on the first signal; the second one kills, as it does without us. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of signals) process.once(name, () => controller.abort(128 + constants.signals[name]));
  return controller.signal;
}

/** What shells expect of a process that a signal ended; undefined where none did. */
export function interruptedExitCode(signal: AbortSignal): number | undefined {
  return signal.aborted ? (signal.reason as number) : undefined;
}
