// An AbortSignal ends every long call, at once for its caller and within a block's work for the machine.
import { getEventListeners } from "node:events";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { convert, loadModel, type OperationOptions } from "attention-bypass";
import t from "tap";
import { temporaryFolder } from "./support/fixtures.ts";
import { randomTokens, writeRandomModel } from "./support/random-model.ts";

t.setTimeout(600_000);

const here = { device: "cpu", threads: 1 } as const;
const folder = await temporaryFolder(t);
const deep = await temporaryFolder(t);
await writeRandomModel(folder, { blocks: 24, width: 256 });
await writeRandomModel(deep, { blocks: 1500, width: 16, heads: 2, vocabulary: 100 });
const model = await loadModel(folder, here);
t.teardown(() => model.dispose());

const rows = Array.from({ length: 8 }, (_, row) => randomTokens(256, 2000, row));
const prompt = [1, 2, 3, 4, 5];
const questions = rows.map((query) => ({ query, choices: [prompt, [6, 7]], gold: 0 }));
const output = path.join(await temporaryFolder(t), "model.pt");

/** Each is one native call of hundreds of milliseconds, but for generate and stream, which are one for each token. */
const calls: Record<string, (options: OperationOptions) => Promise<unknown>> = {
  logits: (options) => model.logits(rows, options),
  scoreMemorization: (options) => model.scoreMemorization(rows, { prefixLength: 100, ...options }),
  sweep: (options) => model.sweep({ samples: rows, prefixLength: 100, ...options }),
  scan: (options) =>
    model.scan(rows, { prefixLength: 100, suffixLength: 100, stride: 50, bypasses: [{ blocks: [5] }], ...options }),
  effects: (options) => model.effects(rows, { prefixLength: 100, ...options }),
  benchmark: (options) => model.benchmark({ name: "own", questions }, options),
  attention: (options) => model.attention(rows, options),
  divergence: (options) => model.divergence(rows[0] as number[], { bypass: { blocks: [0] }, ...options }),
  perplexity: (options) => model.perplexity(rows.flat(), { contextLength: 256, stride: 256, ...options }),
  generate: (options) => model.generate(prompt, { maxNewTokens: 500, ...options }),
  stream: async ({ signal, onProgress }) => {
    for await (const { token } of model.stream(prompt, { maxNewTokens: 500, signal })) onProgress?.(token / 1e6);
  },
  loadModel: (options) => loadModel(deep, { ...here, ...options }).then((model) => model.dispose()),
  convert: (options) => convert(deep, output, options),
};

const listeners = (signal: AbortSignal): number => getEventListeners(signal, "abort").length;

const same = (one: Float32Array, other: Float32Array): boolean =>
  Buffer.from(one.buffer).equals(Buffer.from(other.buffer));

/** What a call rejects with. */
const reasonOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "it succeeded",
    (error: unknown) => error,
  );

for (const [name, call] of Object.entries(calls)) {
  t.test(`${name} ends when it is aborted in the middle`, async (t) => {
    const reason = new Error("enough");
    const controller = new AbortController();
    const shares: number[] = [];
    const onProgress = (share: number) => {
      shares.push(share);
      controller.abort(reason);
    };
    t.equal(await reasonOf(call({ signal: controller.signal, onProgress })), reason);
    t.equal(listeners(controller.signal), 0, "no listener is left");
    // The next call waits for what still runs of the aborted one, whose progress would end at 1.
    t.equal((await model.logits(prompt)).shape[1], prompt.length, "the model works on");
    await (await loadModel(deep, here)).dispose();
    t.ok(shares.length > 0 && shares.length < 20, `${shares.length} calls of onProgress`);
    t.notOk(shares.includes(1), "the work did not go to its end", { shares });
  });

  t.test(`${name} ends at once on a signal that was aborted before`, async (t) => {
    const reason = { mine: true };
    const signal = AbortSignal.abort(reason);
    let heard = 0;
    t.equal(await reasonOf(call({ signal, onProgress: () => heard++ })), reason);
    t.equal(heard, 0);
    t.equal(listeners(signal), 0);
  });

  t.test(`${name} ends by AbortSignal.timeout`, async (t) => {
    const signal = AbortSignal.timeout(15);
    const error = (await reasonOf(call({ signal }))) as Error;
    t.equal(error, signal.reason);
    t.equal(error.name, "TimeoutError");
    t.equal(listeners(signal), 0);
  });
}

t.test("an aborted conversion leaves no file", async (t) => {
  const folder = await temporaryFolder(t);
  const controller = new AbortController();
  const work = convert(deep, path.join(folder, "model.pt"), {
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  t.equal(((await reasonOf(work)) as Error).name, "AbortError");
  t.same(await readdir(folder), []);
});

t.test("no listener is left after success, nor after a failure", async (t) => {
  const { signal } = new AbortController();
  await model.logits(prompt, { signal });
  await model.generate(prompt, { signal, maxNewTokens: 3 });
  await model.perplexity(prompt, { signal });
  await model.scoreMemorization([prompt], { signal, prefixLength: 2 });
  for await (const _ of model.stream(prompt, { signal, maxNewTokens: 3 })) t.equal(listeners(signal), 0);
  await (await loadModel(folder, { ...here, signal })).dispose();
  await t.rejects(loadModel(path.join(folder, "nowhere"), { signal }), { code: "FILE_NOT_FOUND" });
  await t.rejects(model.logits([-1], { signal }), { code: "TOKEN_OUT_OF_RANGE" });
  t.equal(listeners(signal), 0);
});

t.test("a call aborted while it waits ends at once and harms nothing", async (t) => {
  const expected = (await model.logits(rows)).data;
  const expectedAfter = (await model.logits(prompt)).data;
  const settled: string[] = [];
  const before = model.logits(rows).finally(() => settled.push("before"));
  const controller = new AbortController();
  let heard = 0;
  const aborted = reasonOf(model.logits(rows, { signal: controller.signal, onProgress: () => heard++ })).finally(() =>
    settled.push("aborted"),
  );
  const after = model.logits(prompt).finally(() => settled.push("after"));
  controller.abort("enough");
  t.equal(await aborted, "enough");
  t.ok(same((await before).data, expected));
  t.ok(same((await after).data, expectedAfter));
  t.same(settled, ["aborted", "before", "after"]);
  t.equal(heard, 0, "it was never begun");
});

t.test("a long first step of a generation ends within a block", async (t) => {
  const prompts = rows.concat(rows);
  const begun = performance.now();
  await model.generate(prompts, { maxNewTokens: 1 });
  const whole = performance.now() - begun;
  const controller = new AbortController();
  const work = reasonOf(model.generate(prompts, { maxNewTokens: 1, signal: controller.signal }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const stopped = performance.now();
  controller.abort("enough");
  t.equal(await work, "enough");
  await model.logits([1]);
  const rest = performance.now() - stopped;
  t.ok(rest < whole / 2, `${rest} ms after the abort, ${whole} ms for the whole`);
});

t.test("a stream aborted between its pieces ends with the next", async (t) => {
  const controller = new AbortController();
  const stream = model.stream(prompt, { signal: controller.signal });
  await stream.next();
  controller.abort("enough");
  t.equal(await reasonOf(stream.next()), "enough");
  t.same(await stream.next(), { done: true, value: undefined });
  t.equal(listeners(controller.signal), 0);
});

t.test("one signal ends many calls", async (t) => {
  const controller = new AbortController();
  const { signal } = controller;
  const work = Array.from({ length: 20 }, (_, index) =>
    reasonOf(index % 2 ? model.logits(rows, { signal }) : model.generate(prompt, { signal })),
  );
  setTimeout(() => controller.abort("enough"), 20);
  t.same(new Set(await Promise.all(work)), new Set(["enough"]));
  t.equal(listeners(signal), 0);
  t.equal((await model.generate(prompt, { maxNewTokens: 2 })).tokens.length, 2);
});
