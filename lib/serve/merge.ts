/** Yields the values of several generators as they come. If one throws, or the caller stops, all are ended. */
export async function* merge<Value>(
  generators: readonly AsyncGenerator<Value, void, void>[],
): AsyncGenerator<Value, void, void> {
  const next = async (index: number) => ({
    index,
    result: await (generators[index] as AsyncGenerator<Value, void, void>).next(),
  });
  const waiting = new Map(generators.map((_, index) => [index, next(index)]));
  try {
    while (waiting.size > 0) {
      const { index, result } = await Promise.race(waiting.values());
      waiting.delete(index);
      if (result.done) continue;
      yield result.value;
      waiting.set(index, next(index));
    }
  } finally {
    // Not awaited: a generator ends after the step that it is in.
    for (const promise of waiting.values()) promise.catch(() => {});
    for (const generator of generators) generator.return().catch(() => {});
  }
}
