// Models run side by side, a model's calls one after the other, rows together: each gives what it gives alone.
import { isDeepStrictEqual } from "node:util";
import { type Bypass, type Generation, loadModel } from "attention-bypass";
import t, { type Test } from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { randomTokens, writeRandomModel } from "./support/random-model.ts";

t.setTimeout(300_000);

// With one thread the machine's other work slows these down least.
const here = { device: "cpu", threads: 1 } as const;
const options = { stopAtEndOfText: false };

/** How often a list goes from one value to another. */
const switches = (order: string[]): number =>
  order.filter((name, index) => index > 0 && name !== order[index - 1]).length;

function agree(t: Test, actual: Generation, alone: Generation, name: string, tolerance = 1e-4) {
  const off = Math.max(
    ...actual.logProbabilities.map((value, index) => Math.abs(value - (alone.logProbabilities[index] as number))),
  );
  t.same([actual.tokens, actual.finishReason], [alone.tokens, alone.finishReason], name);
  t.ok(off <= tolerance, `${name}: log-probabilities differ by ${off}`);
}

t.test("two models generate at once", async (t) => {
  const folder = await temporaryFolder(t);
  await writeRandomModel(folder, { blocks: 4, width: 256 });
  const models = await Promise.all([loadModel(folder, here), loadModel(folder, here)]);
  const calls = models.map((model, index) => ({
    model,
    prompt: randomTokens(20, 2000, index),
    name: `model ${index}`,
  }));
  const alone: Generation[] = [];
  for (const { model, prompt } of calls) alone.push(await model.generate(prompt, { maxNewTokens: 60, ...options }));
  const order: string[] = [];
  const together = await Promise.all(
    calls.map(({ model, prompt, name }) =>
      model.generate(prompt, { maxNewTokens: 60, onProgress: () => order.push(name), ...options }),
    ),
  );
  t.ok(switches(order) >= 8, `${switches(order)} switches in ${order.length} tokens`);
  for (const [index, { name }] of calls.entries())
    agree(t, together[index] as Generation, alone[index] as Generation, name);
  t.notSame(alone[0]?.tokens, alone[1]?.tokens);
  await Promise.all(models.map((model) => model.dispose()));
});

t.test("calls on one model come in order and do not touch each other", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  const order: string[] = [];
  const rows = Array.from({ length: 32 }, (_, row) => randomTokens(40, 60, row));
  const calls: Record<string, () => Promise<unknown>> = {
    logits: () => model.logits(rows),
    bypassed: () => model.logits(rows.slice(0, 1), { bypass: { blocks: [0] } }),
    perplexity: () => model.perplexity(rows[1] as number[]),
    memorization: () => model.scoreMemorization(rows.slice(2, 9), { prefixLength: 30 }),
    last: () => model.logits([1, 2, 3]),
  };
  const alone: Record<string, unknown> = {};
  for (const [name, call] of Object.entries(calls)) alone[name] = await call();
  const together = await Promise.all(
    Object.entries(calls).map(async ([name, call]) => {
      const result = await call();
      order.push(name);
      return [name, result] as const;
    }),
  );
  // Samples are read before they are queued, so that scoring them may come later.
  t.same(
    order.filter((name) => name !== "memorization"),
    Object.keys(calls).filter((name) => name !== "memorization"),
  );
  for (const [name, result] of together) t.ok(isDeepStrictEqual(result, alone[name]), name);
  await model.dispose();
});

t.test("two streams on one model take turns", async (t) => {
  const model = await loadModel(fixture("neo-attention-layers"), here);
  const prompts = [
    [1, 2, 3, 4, 5, 6],
    [9, 8, 7],
  ];
  const order: string[] = [];
  const together = await Promise.all(
    prompts.map(async (prompt, index) => {
      const tokens: number[] = [];
      for await (const { token } of model.stream(prompt, { maxNewTokens: 20, ...options })) {
        tokens.push(token);
        order.push(`stream ${index}`);
      }
      return tokens;
    }),
  );
  t.ok(switches(order) >= 10, `${switches(order)} switches`);
  for (const [index, prompt] of prompts.entries()) {
    const { tokens } = await model.generate(prompt, { maxNewTokens: 20, ...options });
    t.same(together[index], tokens, `stream ${index}`);
  }
  await model.dispose();
});

t.test("streams that are read at their own pace give what each gives alone", async (t) => {
  const model = await loadModel(fixture("neo-attention-layers"), here);
  const calls = [{}, { temperature: 1, seed: 3 }, { temperature: 0.7, topP: 0.9, seed: 4, bypass: { blocks: [1] } }];
  const streams = calls.map((call, index) =>
    model.stream([5, index, 7, 2], { maxNewTokens: 18, ...options, ...call })[Symbol.asyncIterator](),
  );
  const received: number[][] = calls.map(() => []);
  const read = async (index: number) => {
    const { value, done } = await (streams[index] as (typeof streams)[number]).next();
    if (!done) received[index]?.push(value.token);
  };
  // Several steps of the same streams, then of others: one pauses, all go on, two pause.
  for (const together of [[0, 1, 2], [0, 2], [0, 1, 2], [1], [0, 1, 2]])
    for (let step = 0; step < 4; step++) await Promise.all(together.map(read));
  for (const [index, call] of calls.entries()) {
    const { tokens } = await model.generate([5, index, 7, 2], { maxNewTokens: 18, ...options, ...call });
    t.same(received[index], tokens.slice(0, 16), `stream ${index}`);
  }
  for (const stream of streams) await stream.return?.();
  await model.dispose();
});

const bypasses: (Bypass | undefined)[] = [undefined, { blocks: [1] }, { blocks: [0, 2], mode: "short-circuit" }];

for (const name of ["neo-attention-layers", "neo-types", "neox-old-keys", "neox-serial", "neox-sharded"]) {
  t.test(`rows of unequal length give what each gives alone: ${name}`, async (t) => {
    const model = await loadModel(fixture(name), here);
    const room = model.config.contextLength;
    const lengths = [3, Math.floor(room / 2), 1, 11, 7, 3];
    const prompts = lengths.map((length, index) => randomTokens(length, model.config.vocabularySize, index));
    const maxNewTokens = Math.floor(room / 2);
    const counts = new Set<number>();
    for (const bypass of bypasses) {
      const tag = bypass ? `${bypass.mode ?? "zero"} ${JSON.stringify(bypass.blocks)}` : "plain";
      const call = { maxNewTokens, ...options, ...(bypass && { bypass }) };
      const together = await model.generate(prompts, call);
      const alone: Generation[] = [];
      for (const prompt of prompts) alone.push(await model.generate(prompt, call));
      for (const [index, generation] of together.entries())
        agree(t, generation, alone[index] as Generation, `${tag}, row ${index}`);

      // Rows leave the batch one after the other where tokens end them.
      const stop = alone.map(({ tokens }, index) => tokens[index * 2] as number);
      const stopped = await model.generate(prompts, { ...call, stop });
      for (const [index, prompt] of prompts.entries()) {
        agree(
          t,
          stopped[index] as Generation,
          await model.generate(prompt, { ...call, stop }),
          `${tag}, row ${index}, stopped`,
        );
      }
      for (const { tokens } of stopped) counts.add(tokens.length);

      // Drawn tokens come from each row's own seed.
      const seed = prompts.map((_, index) => index);
      const drawn = await model.generate(prompts, { ...call, temperature: 1, seed });
      for (const [index, prompt] of prompts.entries()) {
        const single = await model.generate(prompt, { ...call, temperature: 1, seed: index });
        agree(t, drawn[index] as Generation, single, `${tag}, row ${index}, drawn`);
      }
    }
    t.ok(counts.size > 1, "rows left at different times");
    await model.dispose();
  });

  t.test(`memorization and logits do not depend on the batch: ${name}`, async (t) => {
    const model = await loadModel(fixture(name), here);
    const { vocabularySize, contextLength } = model.config;
    const samples = [20, 9, contextLength, 31, 12].map((length, index) =>
      randomTokens(Math.min(length, contextLength), vocabularySize, index),
    );
    for (const bypass of bypasses) {
      const call = { prefixLength: 6, ...(bypass && { bypass }) };
      const together = await model.scoreMemorization(samples, call);
      const single = await model.scoreMemorization(samples, { ...call, memory: 1 });
      for (const [index, row] of together.perRow.entries()) {
        for (const [metric, value] of Object.entries(row)) {
          const other = single.perRow[index]?.[metric as keyof typeof row] as number;
          t.ok(
            Math.abs(value - other) <= 1e-4 * Math.max(1, Math.abs(other)),
            `${metric} of row ${index}: ${value}, ${other}`,
          );
        }
      }
      const { data, shape } = await model.logits(samples, bypass && { bypass });
      for (const [row, sample] of samples.entries()) {
        const alone = (await model.logits(sample, bypass && { bypass })).data;
        const begin = row * shape[1] * shape[2];
        const off = alone.reduce(
          (most, value, index) => Math.max(most, Math.abs(value - (data[begin + index] as number))),
          0,
        );
        t.ok(off <= 1e-3, `logits of row ${row} differ by ${off}`);
        const behind = data.subarray(begin + alone.length, begin + shape[1] * shape[2]);
        t.ok(behind.every(Number.isNaN), `no numbers behind row ${row}`);
      }
    }
    await model.dispose();
  });
}

for (const [name, dtype] of [
  ["neox-serial", "float32"],
  ["gpt2", "float32"],
  ["neo-types", "float16"],
] as const) {
  t.test(`16 calls at once, each with its own bypass and sampling: ${name} in ${dtype}`, async (t) => {
    const model = await loadModel(fixture(name), { ...here, dtype });
    const { means } = await model.attention([randomTokens(12, model.config.vocabularySize)]);
    const bypasses: (Bypass | undefined)[] = [
      undefined,
      { blocks: [0] },
      { blocks: [1], mode: "short-circuit" },
      { blocks: [0, 2], mode: "mean", means },
      { heads: { 1: [0, 2] } },
      { blocks: [1], part: "mlp" },
      { blocks: [0, 1, 2], part: "both" },
      { blocks: [2], part: "both", mode: "mean", means },
    ];
    const calls = Array.from({ length: 16 }, (_, index) => {
      const bypass = bypasses[index % bypasses.length];
      const settings = {
        ...options,
        maxNewTokens: 3 + index,
        ...(index % 3 === 0 && { temperature: 0.8, seed: index, topP: 0.9, topK: 20 }),
        ...(bypass && { bypass }),
      };
      return { prompt: randomTokens(2 + index, model.config.vocabularySize, index), settings };
    });
    const alone: Generation[] = [];
    for (const { prompt, settings } of calls) alone.push(await model.generate(prompt, settings));
    const controller = new AbortController();
    const aborted = model.generate([1, 2, 3], {
      ...options,
      maxNewTokens: 40,
      signal: controller.signal,
      onProgress: (share) => share > 0.2 && controller.abort(new Error("enough")),
    });
    const rejected = t.rejects(aborted, { message: "enough" });
    // The second half joins while the first runs.
    const begun = calls.slice(0, 8).map(({ prompt, settings }) => model.generate(prompt, settings));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const joined = calls.slice(8).map(({ prompt, settings }) => model.generate(prompt, settings));
    await rejected;
    for (const [index, together] of (await Promise.all([...begun, ...joined])).entries()) {
      agree(t, together, alone[index] as Generation, `call ${index}`, dtype === "float16" ? 0.01 : 1e-4);
    }
    await model.dispose();
  });
}

t.test("what fails in a batch fails for its own call only", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  const prompt = randomTokens(6, 60);
  const alone = await model.generate(prompt, { maxNewTokens: 10, ...options });
  const huge = { blocks: [0, 1, 2].map(() => new Float32Array(32).fill(3e38)) };
  const [good, bad] = await Promise.allSettled([
    model.generate(prompt, { maxNewTokens: 10, ...options }),
    model.generate(prompt, { maxNewTokens: 10, ...options, bypass: { blocks: [0], mode: "mean", means: huge } }),
  ]);
  t.equal(bad.status === "rejected" && bad.reason.code, "NOT_FINITE");
  t.equal(good.status, "fulfilled");
  if (good.status === "fulfilled") agree(t, good.value, alone, "the other call");
  await model.dispose();
});
