interface Entry {
  waiting: Set<() => void>;
  listener: () => void;
}

/**
 * The package adds only one listener to a signal, for any number of calls: Node.js warns if there are more than ten.
 */
const entries = new WeakMap<AbortSignal, Entry>();

function listen(signal: AbortSignal): Entry {
  const waiting = new Set<() => void>();
  const listener = () => {
    entries.delete(signal);
    for (const callback of waiting) callback();
  };
  const entry = { waiting, listener };
  entries.set(signal, entry);
  signal.addEventListener("abort", listener, { once: true });
  return entry;
}

/** Calls a function once when the signal is aborted. Returns a function that removes the callback. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const entry = entries.get(signal) ?? listen(signal);
  entry.waiting.add(callback);
  return () => {
    entry.waiting.delete(callback);
    if (entry.waiting.size > 0 || entries.get(signal) !== entry) return;
    entries.delete(signal);
    signal.removeEventListener("abort", entry.listener);
  };
}
