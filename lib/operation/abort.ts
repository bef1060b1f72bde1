interface Entry {
  waiting: Set<() => void>;
  listener: () => void;
}

/** A signal has one listener of ours, whatever the number of calls that it ends: Node warns of more than ten. */
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

/** Calls a function of one's own once, when the signal is aborted. Returns what takes it off again. */
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
