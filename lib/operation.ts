import { fromNative } from "./errors.js";
import type { Addon, NativeControl } from "./native.js";

/** What every call that can be long takes. */
export interface OperationOptions {
  /** Ends the call, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Hears of the share of the work that is done, from 0 to 1. */
  onProgress?: ((share: number) => void) | undefined;
}

/** An aborted call ends at once for its caller; what runs of it ends within one block's work. */
export function untilAborted<Value>(work: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** A receiver of progress that never falls and ends at 1; what the caller's receiver throws ends the work. */
class Progress {
  thrown: { error: unknown } | undefined;
  #last = 0;

  constructor(
    private readonly receiver: (share: number) => void,
    private readonly abort: () => void,
  ) {}

  report(share: number): void {
    if (share <= this.#last || this.thrown) return;
    this.#last = share;
    try {
      this.receiver(share);
    } catch (error) {
      this.thrown = { error };
      this.abort();
    }
  }
}

/** Runs native work under a signal; errors come with codes and the caller's stack. */
export async function run<Value>(
  addon: Addon,
  { signal, onProgress }: OperationOptions,
  work: (control: NativeControl) => Promise<Value>,
): Promise<Value> {
  signal?.throwIfAborted();
  const progress = onProgress && new Progress(onProgress, () => control.abort());
  const control = new addon.Control(progress && ((share) => progress.report(share)));
  const abort = () => control.abort();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const value = await untilAborted(work(control), signal);
    progress?.report(1);
    if (progress?.thrown) throw progress.thrown.error;
    return value;
  } catch (error) {
    if (progress?.thrown) throw progress.thrown.error;
    signal?.throwIfAborted();
    throw fromNative(error);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Asks the addon what it knows at once; errors come with codes. */
export function ask<Value>(question: () => Value): Value {
  try {
    return question();
  } catch (error) {
    throw fromNative(error);
  }
}

/** The part of an operation's progress that work from one share of it to another makes up. */
export function part({ signal, onProgress }: OperationOptions, from: number, to: number): OperationOptions {
  return { signal, onProgress: onProgress && ((share) => onProgress(from + share * (to - from))) };
}
