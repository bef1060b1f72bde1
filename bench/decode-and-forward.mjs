// What is timed against Hugging Face transformers; hugging_face.py does the same there.

async function bestOf(runs, work) {
  await work();
  const times = [];
  for (let run = 0; run < runs; run++) {
    const started = performance.now();
    await work();
    times.push((performance.now() - started) / 1000);
  }
  return Math.min(...times);
}

/**
 * The seconds of greedy decoding of one row after a prompt of 8 and of a batched forward pass. Both end with their
 * results in this process's memory, so that nothing is left to do on a GPU.
 */
export async function decodeAndForward(model, { rows, tokens }) {
  const prompt = Array.from({ length: 8 }, (_, index) => index);
  const distinct = Math.min(50_000, model.config.vocabularySize);
  const batch = Array.from({ length: rows }, (_, row) =>
    Array.from({ length: tokens }, (_, column) => (row * tokens + column) % distinct),
  );
  const decode = await bestOf(2, () => model.generate(prompt, { maxNewTokens: tokens, stopAtEndOfText: false }));
  const forward = await bestOf(2, () => model.logits(batch));
  return { decode, forward };
}
