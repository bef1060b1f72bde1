import type { Addon, NativeControl } from "../addon/native.js";
import { fromNative } from "../errors/errors.js";
import { onAbort } from "./abort.js";
import { Progress } from "./progress.js";

/** What every call that can be long takes. */
export interface OperationOptions {
  /** Ends the call, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * Called with the completed fraction of the work, from 0 to 1. If it throws, or returns a promise that rejects, the call
   * ends and rejects with that error.
   */
  onProgress?: ((share: number) => void) | undefined;
}

/** An aborted call ends at once for its caller; what runs of it ends within one block's work. */
export function untilAborted<Value>(
  work: Promise<Value>,
  signal: AbortSignal | undefined,
  abort: () => void = () => {},
): Promise<Value> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stop = onAbort(signal, () => {
      abort();
      reject(signal.reason);
    });
    work.then(resolve, reject).finally(stop);
  });
}

/** Reports the end of the work, and waits for what the receiver still does, unless the call is aborted. */
export async function finish(progress: Progress, signal: AbortSignal | undefined): Promise<void> {
  progress.report(1);
  progress.check();
  if (!signal?.aborted) await untilAborted(progress.finish(), signal);
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
  try {
    const value = await untilAborted(work(control), signal, () => control.abort());
    if (progress) await finish(progress, signal);
    return value;
  } catch (error) {
    progress?.check();
    signal?.throwIfAborted();
    throw fromNative(error);
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

/** Returns options for a part of an operation, whose progress from 0 to 1 is the operation's from `from` to `to`. */
export function part({ signal, onProgress }: OperationOptions, from: number, to: number): OperationOptions {
  return { signal, onProgress: onProgress && ((share) => onProgress(from + share * (to - from))) };
}

/** Returns options whose progress only rises: a value that is not above the last is not reported. */
export function rising({ signal, onProgress }: OperationOptions): OperationOptions {
  let last = 0;
  const report = (share: number) => {
    if (share <= last) return;
    last = share;
    return onProgress?.(share);
  };
  return { signal, onProgress: onProgress && report };
}

/** Reports the end of an operation, whose last part may have had nothing to do. */
export async function complete({ signal, onProgress }: OperationOptions): Promise<void> {
  if (onProgress) await finish(new Progress(onProgress), signal);
}
