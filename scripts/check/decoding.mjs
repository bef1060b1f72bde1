// Checks that different calls for generation on the device have the same results.
import { difference } from "./fixtures.mjs";
import { dtypes } from "./parity.mjs";
import { differing, within } from "./record.mjs";

const greedy = { maxNewTokens: 24, stopAtEndOfText: false };
const sampled = { ...greedy, temperature: 0.8, topK: 40, seed: 7 };

const unequal = (one, other) => one.filter((tokens, index) => String(tokens) !== String(other[index])).length;

async function generateEach(model, prompts, options) {
  const tokens = [];
  for (const prompt of prompts) tokens.push((await model.generate(prompt, options)).tokens);
  return tokens;
}

async function streamEach(model, prompts, options) {
  const tokens = [];
  for (const prompt of prompts) {
    const own = [];
    for await (const { token } of model.stream(prompt, options)) own.push(token);
    tokens.push(own);
  }
  return tokens;
}

async function checkStream({ name, folder, device, load, record }, prompts, dtype) {
  await record.check(`${name}: a stream and a generation`, dtype, async () => {
    const model = await load(folder, { device, dtype });
    try {
      let count = 0;
      for (const options of [greedy, sampled]) {
        count += unequal(await streamEach(model, prompts, options), await generateEach(model, prompts, options));
      }
      return differing(count, 2 * prompts.length, "generations");
    } finally {
      await model.dispose();
    }
  });
}

export async function checkDecoding(subject) {
  const { name, model, secrets, quick, record } = subject;
  // Prompts of several lengths. Their continuations are memorized, so that no two logits are nearly equal.
  const prompts = secrets.slice(0, quick ? 2 : 8).map(({ prefix }) => model.tokenizer.encode(prefix));
  for (const dtype of dtypes) await checkStream(subject, prompts, dtype);
  await record.check(`${name}: a batch and each prompt alone`, "float32", async () => {
    const batch = (await model.generate(prompts, greedy)).map(({ tokens }) => tokens);
    return differing(unequal(batch, await generateEach(model, prompts, greedy)), prompts.length, "generations");
  });
  await record.check(`${name}: logits of a batch and of each row alone`, "float32", async () => {
    const rows = secrets.map(({ prefix, suffix }) => model.tokenizer.encode(prefix + suffix).slice(0, 16));
    const { data } = await model.logits(rows);
    let off = 0;
    for (const [index, row] of rows.entries()) {
      const alone = (await model.logits(row)).data;
      off = Math.max(off, difference(data.subarray(index * alone.length, (index + 1) * alone.length), alone));
    }
    return within(off, 2e-4);
  });
}
