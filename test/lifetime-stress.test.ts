// Twenty thousand short calls on one process: models that come and go, calls that end, fail or are aborted, streams that are
// left. Nothing of them stays: not memory, not objects, not listeners, not threads, not open files.
import t from "tap";
import { runScript } from "./support/child.ts";
import { fixture } from "./support/fixtures.ts";

t.setTimeout(300_000);

/** STRESS_CALLS in the environment makes it longer. */
const calls = Number(process.env.STRESS_CALLS ?? 20_000);

const source = `
import { getEventListeners } from "node:events";
import { readdirSync } from "node:fs";
import { loadModel } from "attention-bypass";
const [place, count] = process.argv.slice(-2);
const here = { device: "cpu", threads: 1 };
const row = [1, 2, 3, 4, 5, 6];
const lasting = new AbortController();
const { signal } = lasting;
process.on("warning", (warning) => { throw warning; });

let model = await loadModel(place, here);
const mine = new Error("mine");
const aborted = async (work) => {
  const controller = new AbortController();
  const call = work(controller.signal);
  setImmediate(() => controller.abort(mine));
  await call.catch((error) => { if (error !== mine) throw error; });
};
const refused = async (call) => {
  const code = await call.then(() => "succeeded", (error) => error.code);
  if (!["TOKEN_OUT_OF_RANGE", "INVALID_ARGUMENT"].includes(code)) throw new Error(code);
};
const kinds = [
  () => model.logits(row, { signal }),
  () => model.generate(row, { maxNewTokens: 2, signal }),
  () => model.perplexity(row, { signal }),
  () => model.scoreMemorization([row], { prefixLength: 3, signal, bypass: { blocks: [0] } }),
  () => model.generate(row, { maxNewTokens: 2, onProgress() {} }),
  () => refused(model.logits([1e6], { signal })),
  () => refused(model.generate(row, { maxNewTokens: -1, signal })),
  () => aborted((signal) => model.generate(row, { maxNewTokens: 20, signal })),
  () => aborted((signal) => model.scoreMemorization([row, row], { prefixLength: 3, signal })),
  async () => { for await (const _ of model.stream(row, { maxNewTokens: 5, signal })) break; },
];
async function replace() {
  const old = model;
  const calls = [old.logits(row), old.generate(row, { maxNewTokens: 2, signal })];
  const gone = old.dispose();
  await Promise.all([...calls, gone]);
  await aborted((signal) => loadModel(place, { ...here, signal }).then((one) => one.dispose()));
  model = await loadModel(place, { ...here, signal });
}
async function sample() {
  for (let round = 0; round < 5; round++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    resident: rss / 1e6,
    heap: heapUsed / 1e6,
    external: external / 1e6,
    listeners: getEventListeners(signal, "abort").length + process.listenerCount("exit"),
    threads: readdirSync("/proc/self/task").length,
    files: readdirSync("/proc/self/fd").length,
  };
}
const samples = [];
for (let done = 0; done < Number(count); done++) {
  // Two at a time, so that calls wait for each other too.
  const pair = [kinds[done % kinds.length](), kinds[(done + 3) % kinds.length]()];
  await Promise.all(pair);
  done++;
  if (done % 200 === 199) await replace();
  if (done % (Number(count) / 5) >= Number(count) / 5 - 2) samples.push(await sample());
}
console.log(JSON.stringify(samples));
await model.dispose();
`;

t.test(`${calls} calls`, async (t) => {
  const { code, stdout, stderr } = await runScript(source, [fixture("neox-serial"), String(calls)], ["--expose-gc"]);
  t.equal(code, 0, stderr.slice(-2000));
  const samples: Record<string, number>[] = JSON.parse(stdout);
  t.ok(samples.length >= 4, `${samples.length} samples`);
  // The first fifth fills what is kept once, such as compiled code and the allocator's arenas.
  const [first, last] = [samples[0], samples.at(-1)] as [Record<string, number>, Record<string, number>];
  for (const [name, most] of Object.entries({
    resident: 25,
    heap: 3,
    external: 2,
    listeners: 0,
    threads: 1,
    files: 0,
  })) {
    const grown = (last[name] as number) - (first[name] as number);
    t.ok(grown <= most, `${name} grows by ${Math.round(100 * grown) / 100}, at most ${most}`, { samples });
  }
});

t.test("workers that are ended and processes that exit in the middle of calls", async (t) => {
  const { code, stdout, stderr } = await runScript(
    `
import { readdirSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { loadModel } from "attention-bypass";
const place = process.argv.at(-1);
const code = \`
const { workerData } = require("node:worker_threads");
const { loadModel } = require("attention-bypass");
const here = { device: "cpu", threads: 1 };
const row = [1, 2, 3];
(async () => {
  for (;;) {
    const model = await loadModel(workerData, here);
    void model.generate(row, { maxNewTokens: 20 }).catch(() => undefined);
    const controller = new AbortController();
    void model.logits(row, { signal: controller.signal }).catch(() => undefined);
    controller.abort();
    for await (const _ of model.stream(row, { maxNewTokens: 3 })) break;
    void model.dispose();
  }
})();\`;
await (await loadModel(place, { device: "cpu", threads: 1 })).dispose();
const threads = () => readdirSync("/proc/self/task").length;
const before = threads();
for (let time = 0; time < 12; time++) {
  const worker = new Worker(code, { eval: true, execArgv: [], workerData: place });
  await new Promise((resolve) => setTimeout(resolve, 100 + 40 * time));
  await worker.terminate();
}
await new Promise((resolve) => setTimeout(resolve, 200));
console.log(threads() - before);
const model = await loadModel(place, { device: "cpu", threads: 1 });
for (let count = 0; count < 50; count++) void model.generate([1, 2, 3], { maxNewTokens: 20 });
await model.logits([1, 2, 3]).catch(() => undefined);
process.exit(0);`,
    [fixture("neox-serial")],
  );
  t.equal(code, 0, stderr.slice(-2000));
  t.ok(Number(stdout) <= 1, `${stdout.trim()} threads more after 12 workers`);
});
