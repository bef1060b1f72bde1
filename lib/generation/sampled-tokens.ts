import type { NativePlan, NativeToken } from "../addon/native.js";
import type { OperationOptions } from "../operation/operation.js";
import type { Session } from "../session/session.js";

/** A prompt from which tokens are sampled. */
export interface SampledPrompt {
  tokens: Int32Array;
  plan: NativePlan;
  seed: number;
  /** The number of tokens to sample. No token ends the generation before. */
  length: number;
}

/** A prompt whose tokens are being sampled. */
interface Active extends SampledPrompt {
  sampled: number[];
  /** The number of the row among the model's generations. */
  number: number;
}

/**
 * Returns the rows in groups with the same plan and length. A device computes tokens ahead up to the length of a
 * request, which must not be beyond a row's context.
 */
function requestsOf(rows: readonly Active[]): [Active, ...Active[]][] {
  const requests: [Active, ...Active[]][] = [];
  for (const row of rows) {
    const same = requests.find(([{ plan, length }]) => plan === row.plan && length === row.length);
    if (same) same.push(row);
    else requests.push([row]);
  }
  return requests;
}

/**
 * Samples tokens after each prompt, all prompts in one batch. The tokens of a prompt depend on its seed and, beyond
 * rounding, on no other prompt: they are those of `generate` without stops.
 */
export async function sampleTokens(
  { generations }: Session,
  prompts: readonly SampledPrompt[],
  { temperature, topK }: { temperature: number; topK: number },
  { signal, onProgress }: OperationOptions,
): Promise<number[][]> {
  const owner = {};
  const rows: Active[] = prompts.map((prompt) => ({ ...prompt, sampled: [], number: -1 }));
  const total = rows.reduce((sum, { length }) => sum + length, 0);
  let done = 0;
  const remove = (some: readonly Active[]) => generations.remove(Int32Array.from(some, ({ number }) => number));
  try {
    await Promise.all(
      requestsOf(rows).map(async (some) => {
        const [{ plan, length }] = some;
        const texts = some.map(({ tokens }) => tokens);
        const numbers = await generations.add(owner, texts, plan, {
          maxNewTokens: length,
          ...{ temperature, topK, topP: 1, top: 0 },
          seeds: Float64Array.from(some, ({ seed }) => seed),
        });
        for (const [index, row] of some.entries()) row.number = numbers[index] as number;
      }),
    );
    for (let active = rows; active.length > 0; ) {
      const tokens = await generations.step(
        Int32Array.from(active, ({ number }) => number),
        signal,
      );
      for (const [index, { sampled }] of active.entries()) sampled.push((tokens[index] as NativeToken).token);
      done += active.length;
      const ended = active.filter(({ sampled, length }) => sampled.length === length);
      active = active.filter(({ sampled, length }) => sampled.length < length);
      if (ended.length > 0) void remove(ended);
      onProgress?.(done / total);
    }
  } finally {
    // Not awaited: it is queued after work that may still run.
    void remove(rows);
    generations.release(owner);
  }
  return rows.map(({ sampled }) => sampled);
}
