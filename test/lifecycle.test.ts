// What runs never holds up the event loop, and a model ends when it is told to, after what it was asked before.
import { readdirSync, readlinkSync } from "node:fs";
import path from "node:path";
import { loadModel, type Model } from "attention-bypass";
import t from "tap";
import { runScript } from "./support/child.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { randomTokens, writeRandomModel } from "./support/random-model.ts";

t.setTimeout(600_000);

// With one thread the machine's other work slows these down least. An offloaded model has its file open, which shows when it goes.
const here = { device: "cpu", threads: 1, offload: true } as const;
const wide = await temporaryFolder(t);
const deep = await temporaryFolder(t);
await writeRandomModel(wide);
await writeRandomModel(deep, { blocks: 800, width: 32, heads: 2, vocabulary: 100 });
const rows = Array.from({ length: 4 }, (_, row) => randomTokens(256, 2000, row));
const prompt = [1, 2, 3, 4, 5];

/** How often a timer of 5 ms fires while work runs. Work that holds up the event loop lets it fire once at most. */
async function ticksDuring(work: () => Promise<unknown>): Promise<number> {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  await work().finally(() => clearInterval(timer));
  return ticks;
}

/** Whether this process has a file open, as it has the weights of an offloaded model until these are freed. */
function isOpen(folder: string): boolean {
  const file = path.join(folder, "model.safetensors");
  return readdirSync("/proc/self/fd").some((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`) === file;
    } catch {
      // The descriptor of the listing itself.
      return false;
    }
  });
}

t.test("the event loop goes on while a model loads and runs", async (t) => {
  const model = await loadModel(wide, here);
  const loading = ticksDuring(async () => (await loadModel(deep, here)).dispose());
  t.ok((await loading) >= 5, `loadModel: ${await loading} ticks`);
  const calls = {
    logits: () => model.logits(rows),
    generate: () => model.generate(rows, { maxNewTokens: 1 }),
    scoreMemorization: () => model.scoreMemorization(rows, { prefixLength: 128, metrics: ["suffixLogLikelihood"] }),
    perplexity: () => model.perplexity(rows.flat(), { contextLength: 256, stride: 256 }),
  };
  for (const [name, call] of Object.entries(calls)) {
    const ticks = await ticksDuring(call);
    t.ok(ticks >= 5, `${name}: ${ticks} ticks`);
  }
  await model.dispose();
});

t.test("the event loop goes on while libtorch itself is loaded", async (t) => {
  const { stdout, stderr } = await runScript(
    `import { loadModel } from "attention-bypass";
    let last = performance.now(), longest = 0;
    const look = () => { const now = performance.now(); longest = Math.max(longest, now - last); last = now; };
    const timer = setInterval(look, 5);
    const began = last;
    const model = await loadModel(process.argv[1], { device: "cpu" });
    look();
    clearInterval(timer);
    console.log(JSON.stringify({ longest, whole: performance.now() - began }));
    await model.dispose();`,
    [fixture("neox-serial")],
  );
  t.equal(stderr, "");
  const { longest, whole } = JSON.parse(stdout);
  t.ok(longest < whole / 2, `held up for ${Math.round(longest)} ms of ${Math.round(whole)} ms`);
});

t.test("progress never falls and ends at 1", async (t) => {
  const shares: number[] = [];
  const onProgress = (share: number) => shares.push(share);
  const model = await loadModel(wide, { ...here, onProgress });
  const calls: Record<string, () => Promise<unknown>> = {
    loadModel: async () => undefined,
    "loadModel of a trace": async () => {
      await (await loadModel(fixture("traced-neox"), { ...here, onProgress })).dispose();
    },
    generate: () => model.generate([prompt, [6]], { maxNewTokens: 4, onProgress }),
    scoreMemorization: () => model.scoreMemorization(rows, { prefixLength: 246, memory: 1, onProgress }),
    "scoreMemorization without decoding": () =>
      model.scoreMemorization(rows, { prefixLength: 246, memory: 1, metrics: ["exactMatch"], onProgress }),
    sweep: () => model.sweep({ samples: rows, prefixLength: 246, memory: 1, onProgress }),
    "sweep without decoding": () =>
      model.sweep({ samples: rows, prefixLength: 246, text: rows.flat(), metrics: ["exactMatch"], onProgress }),
    perplexity: () => model.perplexity(rows.flat(), { contextLength: 256, memory: 1, onProgress }),
    attention: () => model.attention(rows, { onProgress }),
    divergence: () => model.divergence(prompt, { bypass: { blocks: [0] }, onProgress }),
    logits: () => model.logits(rows, { onProgress }),
  };
  for (const [name, call] of Object.entries(calls)) {
    await call();
    t.ok(shares.length > 0, `${name}: it is called`);
    t.ok(
      shares.every((share, index) => share >= 0 && share <= 1 && share >= (shares[index - 1] ?? 0)),
      `${name}: from 0 to 1 and never down`,
      { shares },
    );
    t.equal(shares.at(-1), 1, `${name}: to the end`);
    shares.length = 0;
  }
  await model.dispose();
});

t.test("progress ends at 1 where generation follows the samples, and where it ends early", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  const { tokens } = await model.generate(prompt, { maxNewTokens: 8, stopAtEndOfText: false });
  for (const name of ["scoreMemorization", "generate"]) {
    let last = 0;
    const onProgress = (share: number) => {
      last = share;
    };
    if (name === "generate") {
      await model.generate(prompt, { maxNewTokens: 8, stop: tokens.slice(0, 1), onProgress });
    } else {
      const { exactMatch } = await model.scoreMemorization([[...prompt, ...tokens]], { prefixLength: 5, onProgress });
      t.equal(exactMatch, 1);
    }
    t.equal(last, 1, name);
  }
  await model.dispose();
});

t.test("what onProgress throws ends the call that it came from, whichever it is", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  const mine = new Error("mine");
  const options = {
    ...here,
    onProgress() {
      throw mine;
    },
  };
  const calls: Record<string, () => Promise<unknown>> = {
    generate: () => model.generate(prompt, { maxNewTokens: 4, onProgress: options.onProgress }),
    logits: () => model.logits(prompt, { onProgress: options.onProgress }),
    loadModel: () => loadModel(fixture("neox-serial"), options),
  };
  for (const [name, call] of Object.entries(calls)) {
    const outcome = await call().then(
      () => "it went on",
      (error: unknown) => error,
    );
    t.equal(outcome, mine, name);
  }
  t.equal((await model.logits(prompt)).shape[1], prompt.length, "the model works on");
  await model.dispose();
});

t.test("dispose waits for work, which succeeds; later calls are refused", async (t) => {
  const model = await loadModel(wide, here);
  const work = [model.logits(rows), model.generate(prompt, { maxNewTokens: 8 }), model.perplexity(rows.flat())];
  const settled = Promise.allSettled(work);
  let done = false;
  void settled.then(() => {
    done = true;
  });
  t.ok(isOpen(wide));
  const first = model.dispose();
  await Promise.all([first, model.dispose()]);
  t.ok(done, "the work was over before");
  t.same(
    (await settled).map(({ status }) => status),
    ["fulfilled", "fulfilled", "fulfilled"],
  );
  t.notOk(isOpen(wide), "the weights are gone");
  await model.dispose();
  const calls: (() => Promise<unknown>)[] = [
    () => model.logits(prompt),
    () => model.generate(prompt),
    () => model.perplexity(prompt),
    () => model.scoreMemorization([prompt], { prefixLength: 2 }),
    async () => model.stream(prompt).next(),
  ];
  for (const call of calls) await t.rejects(call(), { name: "AttentionBypassError", code: "DISPOSED" });
});

t.test("Symbol.asyncDispose frees the model", async (t) => {
  const model = await loadModel(wide, here);
  await model[Symbol.asyncDispose]();
  await t.rejects(model.logits(prompt), { code: "DISPOSED" });
  t.notOk(isOpen(wide));
});

const open = async (): Promise<Model> => loadModel(wide, here);

t.test("leaving a stream early frees it", async (t) => {
  const model = await open();
  const tokens: number[] = [];
  for await (const { token } of model.stream(prompt, { maxNewTokens: 50 })) {
    tokens.push(token);
    if (tokens.length === 3) break;
  }
  const { tokens: expected } = await model.generate(prompt, { maxNewTokens: 3 });
  t.same(tokens, expected);
  const thrown = async () => {
    for await (const _ of model.stream(prompt)) throw new Error("mine");
  };
  await t.rejects(thrown(), { message: "mine" });
  await model.dispose();
  t.notOk(isOpen(wide), "no decoder holds the weights");
});

t.test("a paused stream neither holds up disposal nor goes on after it", async (t) => {
  const model = await open();
  const stream = model.stream(prompt, { maxNewTokens: 50 });
  await stream.next();
  const waiting = model.stream(prompt);
  await model.dispose();
  t.notOk(isOpen(wide), "the paused stream does not keep the weights");
  await t.rejects(stream.next(), { code: "DISPOSED" });
  t.same(await stream.next(), { done: true, value: undefined });
  await t.rejects(waiting.next(), { code: "DISPOSED" });
  t.notOk(isOpen(wide));
});

t.test("disposal waits for the step of a stream at work", async (t) => {
  const model = await open();
  const stream = model.stream(randomTokens(512, 2000), { maxNewTokens: 50 });
  const step = stream.next();
  await model.dispose();
  t.equal((await step).done, false);
  await t.rejects(stream.next(), { code: "DISPOSED" });
});
