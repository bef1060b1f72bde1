// Long prompts are computed in pieces, so that other generations go on meanwhile: the results are those of the whole
// prompt's logits.
import { type Bypass, loadModel, type Model } from "attention-bypass";
import t, { type Test } from "tap";
import { temporaryFolder } from "./support/fixtures.ts";
import { randomNumbers, randomTokens } from "./support/random-model.ts";
import { type TinyModel, writeTinyModel } from "./support/tiny-model.ts";

t.setTimeout(300_000);

const vocabulary = 50;
const steps = 6;
const greedy = { maxNewTokens: steps, stopAtEndOfText: false };

const shape: Omit<TinyModel, "family"> = {
  blocks: 3,
  heads: 2,
  width: 16,
  intermediate: 32,
  vocabulary,
  activation: "gelu",
  parallel: true,
  bias: true,
  epsilon: 1e-5,
  contextLength: 1100,
};

async function openModel(t: Test, family: TinyModel["family"]): Promise<Model> {
  const folder = await temporaryFolder(t);
  await writeTinyModel(folder, { ...shape, family }, (part) => {
    const draw = randomNumbers(part.length);
    return () => (part.includes("scale") ? 1 : 0) + 0.5 * draw();
  });
  return loadModel(folder, { device: "cpu", threads: 1 });
}

/** Each generated token has the greatest logit of a forward pass over all tokens before it, within rounding. */
async function followsLogits(t: Test, model: Model, prompt: number[], tokens: number[], bypass: Bypass, name: string) {
  const { data, shape } = await model.logits([...prompt, ...tokens.slice(0, -1)], { bypass });
  const [length] = shape.slice(-2) as [number];
  for (const [index, token] of tokens.entries()) {
    const row = (length - tokens.length + index) * vocabulary;
    const logits = data.subarray(row, row + vocabulary);
    const behind = Math.max(...logits) - (logits[token] as number);
    t.ok(behind < 1e-3, `${name}: token ${index} is ${behind} behind the greatest logit`);
  }
}

for (const family of ["gpt-neox", "gpt-neo", "gpt2"] as const) {
  t.test(`${family}: prompts around and beyond a piece's length`, async (t) => {
    await using model = await openModel(t, family);
    const bypasses: Bypass[] = [
      { blocks: [] },
      { blocks: [1] },
      { heads: { 0: [1] }, mode: "short-circuit" },
      { blocks: [2], part: "both" },
    ];
    const cases = [255, 256, 257, 512, 700, 1000].map((length, index) => ({
      prompt: randomTokens(length, vocabulary, index),
      bypass: bypasses[index % bypasses.length] as Bypass,
      name: `${length} tokens`,
    }));
    for (const { prompt, bypass, name } of cases) {
      const { tokens } = await model.generate(prompt, { ...greedy, bypass });
      t.equal(tokens.length, steps);
      await followsLogits(t, model, prompt, tokens, bypass, `${name}, alone`);
    }
    const together = await Promise.all(
      cases.map(({ prompt, bypass }) => model.generate(prompt, { ...greedy, bypass })),
    );
    for (const [index, { tokens }] of together.entries()) {
      const { prompt, bypass, name } = cases[index] as (typeof cases)[number];
      await followsLogits(t, model, prompt, tokens, bypass, `${name}, together`);
    }
    // One call with short and long prompts.
    const prompts = [10, 600, 20, 300].map((length, seed) => randomTokens(length, vocabulary, seed));
    const batch = await model.generate(prompts, greedy);
    for (const [index, { tokens }] of batch.entries()) {
      await followsLogits(t, model, prompts[index] as number[], tokens, { blocks: [] }, `row ${index} of a batch`);
    }
  });
}

t.test("a stream goes on while a long prompt is computed", async (t) => {
  await using model = await openModel(t, "gpt-neox");
  const order: string[] = [];
  const stream = model.stream([1, 2, 3], { maxNewTokens: 40, stopAtEndOfText: false });
  let long: Promise<unknown> | undefined;
  for await (const { token } of stream) {
    order.push(`token ${token}`);
    // Begun while the stream is running. 1,000 tokens are four pieces.
    long ??= model
      .generate(randomTokens(1000, vocabulary, 1), { ...greedy, maxNewTokens: 1 })
      .then(() => order.push("long"));
  }
  await long;
  const before = order.indexOf("long");
  t.ok(before >= 4 && before < 40, `${before} tokens of the stream before the long prompt's first`);
});

t.test("a long prompt is aborted between its pieces", async (t) => {
  await using model = await openModel(t, "gpt2");
  const controller = new AbortController();
  const prompt = randomTokens(1000, vocabulary, 2);
  const call = model.generate(prompt, { ...greedy, signal: controller.signal });
  setImmediate(() => setImmediate(() => controller.abort(new Error("stop"))));
  await t.rejects(call, { message: "stop" });
  const { tokens } = await model.generate(prompt, greedy);
  await followsLogits(t, model, prompt, tokens, { blocks: [] }, "after the abort");
});
