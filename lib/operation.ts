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
function untilAborted<Value>(work: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Runs native work under a signal; errors come with codes and the caller's stack. */
export async function run<Value>(
  addon: Addon,
  { signal, onProgress }: OperationOptions,
  work: (control: NativeControl) => Promise<Value>,
): Promise<Value> {
  signal?.throwIfAborted();
  const control = new addon.Control(onProgress);
  const abort = () => control.abort();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await untilAborted(work(control), signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw fromNative(error);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** The part of an operation's progress that one of several equal steps makes up. */
export function step(options: OperationOptions, index: number, count: number): OperationOptions {
  const { signal, onProgress } = options;
  return { signal, onProgress: onProgress && ((share) => onProgress((index + share) / count)) };
}
