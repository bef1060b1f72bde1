// Nothing piles up: not memory, not threads, not mapped files.
import t from "tap";
import { runScript } from "./support/child.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { writeRandomModel } from "./support/random-model.ts";

t.setTimeout(300_000);

interface Sample {
  /** In MB. */
  memory: number;
  threads: number;
  mappings: number;
}

const measure = `
import { loadModel } from "attention-bypass";
import { readdirSync, readFileSync } from "node:fs";
const [folder, dtype, threads] = process.argv.slice(-3);
const here = { device: "cpu", threads: Number(threads), dtype };
const sample = async () => {
  for (let round = 0; round < 5; round++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return {
    memory: process.memoryUsage.rss() / 1e6,
    threads: readdirSync("/proc/self/task").length,
    mappings: readFileSync("/proc/self/maps", "utf8").split(folder).length - 1,
  };
};
const samples = [];
for (let begun = 0; begun < 5; begun++) {
  for (let count = 0; count < 50; count++) await round();
  samples.push(await sample());
}
console.log(JSON.stringify(samples));
`;

const prompt = "const prompt = [1, 2, 3, 4, 5, 6, 7, 8];";

/** What each round is made of. */
const rounds = {
  "loads and calls": `
async function round() {
  const model = await loadModel(folder, here);
  await Promise.all([
    model.logits([prompt, prompt]),
    model.generate([prompt, prompt], { maxNewTokens: 3 }),
    model.scoreMemorization([prompt], { prefixLength: 4 }),
    model.perplexity(prompt),
  ]);
  for await (const piece of model.stream(prompt)) break;
  await model.dispose();
}`,
  "loads of models that are left to the garbage collector": `
async function round() {
  const model = await loadModel(folder, here);
  await model.generate(prompt, { maxNewTokens: 2 });
  gc();
  await new Promise((resolve) => setImmediate(resolve));
}`,
  "calls on one model": `
let model;
async function round() {
  model ??= await loadModel(folder, here);
  await model.logits(Array(8).fill(prompt));
  await model.generate(prompt, { maxNewTokens: 10, temperature: 1 });
  await model.scoreMemorization([prompt, prompt], { prefixLength: 4 });
  for await (const piece of model.stream(prompt)) break;
  const paused = model.stream(prompt);
  await paused.next();
}`,
  "loads and calls that fail or are aborted": `
let model;
async function round() {
  model ??= await loadModel(folder, here);
  const fails = async (work) => {
    const succeeded = await work.then(() => true, () => false);
    if (succeeded) throw new Error("expected a failure");
  };
  const aborting = () => {
    const controller = new AbortController();
    return { signal: controller.signal, onProgress: () => controller.abort() };
  };
  await fails(loadModel(folder, { ...here, ...aborting() }));
  await fails(model.generate(prompt, { maxNewTokens: 50, ...aborting() }));
  await fails(model.logits([1e9]));
  const soon = new AbortController();
  const work = fails(model.logits([prompt], { signal: soon.signal }));
  soon.abort();
  await work;
}`,
};

const folder = await temporaryFolder(t);
// 8 MB, so that a few leaked models are seen.
await writeRandomModel(folder, { blocks: 2, width: 256, heads: 4, vocabulary: 500, contextLength: 64 });

for (const [name, round] of Object.entries(rounds)) {
  // Half precision has weights of its own in memory; float32 is the mapped file.
  for (const dtype of name === "loads and calls" ? ["float32", "bfloat16"] : ["float32"]) {
    t.test(`200 ${name} in ${dtype}`, async (t) => {
      const { code, stdout, stderr } = await runScript(
        prompt + round + measure,
        [folder, dtype, name.includes("left") ? "2" : "1"],
        // The young generation of the heap would grow by up to 32 MB, at a time of its own.
        ["--expose-gc", "--max-semi-space-size=1"],
      );
      t.equal(code, 0, stderr);
      const samples: Sample[] = JSON.parse(stdout);
      const [first, last] = [samples[0] as Sample, samples.at(-1) as Sample];
      const grown = last.memory - first.memory;
      t.ok(grown < 30, `grows by ${Math.round(grown)} MB`, { samples });
      t.ok(last.threads <= first.threads, `${first.threads} threads become ${last.threads}`);
      t.ok(last.mappings <= first.mappings, `${first.mappings} mappings become ${last.mappings}`);
    });
  }
}

t.test("loads that fail leave no threads, without waiting for the garbage collector", async (t) => {
  const { code, stdout, stderr } = await runScript(
    `
import { loadModel } from "attention-bypass";
import { readdirSync } from "node:fs";
const [folder] = process.argv.slice(-1);
const threads = () => readdirSync("/proc/self/task").length;
await (await loadModel(folder, { device: "cpu" })).dispose();
const before = threads();
for (let count = 0; count < 20; count++) {
  const controller = new AbortController();
  await loadModel(folder, { device: "cpu", signal: controller.signal, onProgress: () => controller.abort() }).then(
    () => { throw new Error("expected an abort"); },
    () => undefined,
  );
}
await new Promise((resolve) => setTimeout(resolve, 200));
console.log(threads() - before);
`,
    [folder],
  );
  t.equal(code, 0, stderr);
  t.ok(Number(stdout) <= 2, `${stdout.trim()} threads more after 20 loads`);
});
