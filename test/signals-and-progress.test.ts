// One signal may end any number of calls, and what onProgress does later counts too.
import { getEventListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { loadModel, type OperationOptions } from "attention-bypass";
import t from "tap";
import { fixture } from "./support/fixtures.ts";

t.setTimeout(120_000);

const here = { device: "cpu", threads: 1 } as const;
const model = await loadModel(fixture("neox-serial"), here);
t.after(() => model.dispose());

const questions = [{ query: [1], choices: [[1], [2]], gold: 0 }];
const calls: Record<string, (options: OperationOptions) => Promise<unknown>> = {
  loadModel: async (options) => (await loadModel(fixture("neox-serial"), { ...here, ...options })).dispose(),
  logits: (options) => model.logits([1, 2, 3], options),
  generate: (options) => model.generate([1, 2, 3], { maxNewTokens: 4, ...options }),
  perplexity: (options) => model.perplexity([1, 2, 3], options),
  scoreMemorization: (options) => model.scoreMemorization([[1, 2, 3]], { prefixLength: 1, ...options }),
  sweep: (options) => model.sweep({ samples: [[1, 2, 3]], prefixLength: 1, ...options }),
  effects: (options) => model.effects([[1, 2, 3]], { prefixLength: 1, ...options }),
  benchmark: (options) => model.benchmark({ name: "own", questions }, options),
  attention: (options) => model.attention([[1, 2, 3]], options),
  divergence: (options) => model.divergence([1, 2, 3], { bypass: { blocks: [0] }, ...options }),
};

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

t.test("a signal has one listener for 40 calls", async (t) => {
  const warnings: string[] = [];
  const warned = ({ name }: Error) => warnings.push(name);
  process.on("warning", warned);
  t.after(() => void process.off("warning", warned));
  const controller = new AbortController();
  const { signal } = controller;
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, listeners(signal));
  }, 0);
  const onProgress = () => {
    most = Math.max(most, listeners(signal));
  };
  await Promise.all(
    Array.from({ length: 40 }, () => model.generate([1, 2, 3], { signal, onProgress, maxNewTokens: 4 })),
  );
  clearInterval(watch);
  t.equal(most, 1, "at the same time");
  t.equal(listeners(signal), 0, "afterwards");
  const second = Array.from({ length: 40 }, () => model.generate([1, 2, 3], { signal, maxNewTokens: 20 }));
  controller.abort("enough");
  t.same(
    (await Promise.allSettled(second)).map((end) => end.status === "rejected" && end.reason),
    second.map(() => "enough"),
  );
  t.equal(listeners(signal), 0, "after the abort");
  t.same(warnings, []);
});

for (const [name, call] of Object.entries(calls)) {
  t.test(`${name} rejects with what onProgress rejects with`, async (t) => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on("unhandledRejection", note);
    t.after(() => void process.off("unhandledRejection", note));
    const mine = new Error("mine");
    const late = async () => {
      await sleep(20);
      throw mine;
    };
    for (const onProgress of [() => Promise.reject(mine), late]) {
      const end = await call({ onProgress }).then(
        () => "it worked",
        (error: unknown) => error,
      );
      t.equal(end, mine);
    }
    await sleep(30);
    t.same(unhandled, []);
    t.equal((await model.logits([1, 2])).shape[1], 2, "the model works on");
  });
}

t.test("dispose waits for streams that are read, as long as they are", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  const { tokens: expected } = await model.generate([1, 2, 3], { maxNewTokens: 12, stopAtEndOfText: false });
  const tokens: number[] = [];
  let disposed: Promise<void> | undefined;
  for await (const { token } of model.stream([1, 2, 3], { maxNewTokens: 12, stopAtEndOfText: false })) {
    tokens.push(token);
    disposed ??= model.dispose();
    await sleep(5);
  }
  t.same(tokens, expected, "to the end");
  await disposed;
  await t.rejects(model.logits([1]), { code: "DISPOSED" });
});

t.test("dispose does not wait for a stream whose last piece is out", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  const stream = model.stream([1, 2, 3], { maxNewTokens: 1 });
  await stream.next();
  const began = performance.now();
  await model.dispose();
  t.ok(performance.now() - began < 2500, `${performance.now() - began} ms`);
  t.same(await stream.next(), { done: true, value: undefined });
});

t.test("logits beyond what an array holds, or memory, are refused before the work", async (t) => {
  const row = Array.from({ length: model.config.contextLength }, () => 1);
  const perRow = row.length * model.config.vocabularySize;
  const rows = Array.from({ length: Math.ceil(2 ** 32 / perRow) }, () => row);
  await t.rejects(model.logits(rows), { code: "RESULT_TOO_LARGE" });
  const { availableMemory } = process;
  t.after(() => {
    process.availableMemory = availableMemory;
  });
  process.availableMemory = () => 1000;
  await t.rejects(model.logits(row), { code: "OUT_OF_MEMORY" });
});
