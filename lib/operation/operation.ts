import type { Addon, NativeControl } from "../addon/native.js";
import { fromNative } from "../errors/errors.js";
import { onAbort } from "./abort.js";
import { Progress } from "./progress.js";

/** The options of all long-running calls. */
export interface OperationOptions {
  /** A signal to abort the call, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * Called with the completed fraction of the work, from 0 to 1. If it throws, or returns a promise that rejects, the
   * call ends and rejects with that error.
   */
  onProgress?: ((fraction: number) => void) | undefined;
}

/**
 * Returns the value of `work`, or rejects at once with the signal's reason when it is aborted. `abort` cancels the
 * work, which ends at the latest after the current block.
 */
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

/** Reports progress 1, and waits for the promises that the progress callback returned, unless the call is aborted. */
export async function finish(progress: Progress, signal: AbortSignal | undefined): Promise<void> {
  progress.report(1);
  progress.check();
  if (!signal?.aborted) await untilAborted(progress.finish(), signal);
}

/** Runs native work with a signal and a progress callback. Errors have codes and the caller's stack. */
export async function run<Value>(
  addon: Addon,
  { signal, onProgress }: OperationOptions,
  work: (control: NativeControl) => Promise<Value>,
): Promise<Value> {
  signal?.throwIfAborted();
  const progress = onProgress && new Progress(onProgress, () => control.abort());
  const control = new addon.Control(progress && ((fraction) => progress.report(fraction)));
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

/** Runs a synchronous call of the addon. Errors have codes and the caller's stack. */
export function ask<Value>(call: () => Value): Value {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}

/** Returns options for a part of an operation. Its progress from 0 to 1 is reported as `from` to `to`. */
export function part({ signal, onProgress }: OperationOptions, from: number, to: number): OperationOptions {
  return { signal, onProgress: onProgress && ((fraction) => onProgress(from + fraction * (to - from))) };
}

/** Returns options whose progress only increases: a value that is not above the last one is not reported. */
export function rising({ signal, onProgress }: OperationOptions): OperationOptions {
  let last = 0;
  const report = (fraction: number) => {
    if (fraction <= last) return;
    last = fraction;
    return onProgress?.(fraction);
  };
  return { signal, onProgress: onProgress && report };
}

/** Reports progress 1 at the end of an operation whose last part may have reported nothing. */
export async function complete({ signal, onProgress }: OperationOptions): Promise<void> {
  if (onProgress) await finish(new Progress(onProgress), signal);
}
