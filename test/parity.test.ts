// The package against Hugging Face, on checkpoints with random weights: shared/reference and test/fixtures.
import path from "node:path";
import { convert, loadModel, type Model } from "attention-bypass";
import t, { type Test } from "tap";
import { type Expected, fixture, fixtureNames, readExpected, readFloats, temporaryFolder } from "./support/fixtures.ts";
import { shared, skipReason } from "./support/shared.ts";

t.setTimeout(600_000);

/** The largest difference as a share of the largest value. */
function difference(actual: Float32Array, expected: Float32Array): number {
  let largest = 0;
  let off = 0;
  for (const [index, value] of expected.entries()) {
    largest = Math.max(largest, Math.abs(value));
    const distance = Math.abs(value - (actual[index] as number));
    if (!(distance <= off)) off = distance;
  }
  return off / largest;
}

async function agrees(t: Test, model: Model, folder: string, expected: Expected, tolerance: number) {
  for (const { tag, blocks, mode, ...values } of expected.cases) {
    const bypass = { blocks, mode };
    const { data, shape } = await model.logits(expected.input_ids, { bypass });
    t.same(shape, values.logits_shape, `${tag}: shape`);
    t.ok(difference(data, readFloats(path.join(folder, values.logits))) <= tolerance, `${tag}: logits`);
    const prompts = expected.input_ids.map((row) => row.slice(0, values.greedy_prompt_length));
    const maxNewTokens = values.greedy[0]?.length as number;
    const generations = await model.generate(prompts, { maxNewTokens, stopAtEndOfText: false, bypass });
    t.same(
      generations.map((generation) => generation.tokens),
      values.greedy,
      `${tag}: greedy tokens`,
    );
    for (const [row, perplexity] of values.perplexity.entries()) {
      const result = await model.perplexity(expected.input_ids[row] as number[], { bypass });
      t.ok(Math.abs(result.perplexity / perplexity - 1) <= 1e-4, `${tag}: perplexity of row ${row}`);
    }
  }
}

async function checkpointAgrees(t: Test, folder: string, tolerance: number) {
  const expected = readExpected(folder);
  const archive = path.join(await temporaryFolder(t), "model.pt");
  await convert(folder, archive);
  for (const place of [folder, archive]) {
    const model = await loadModel(place, { device: "cpu" });
    await t.test(place === folder ? "folder" : "archive", (t) => agrees(t, model, folder, expected, tolerance));
    await model.dispose();
  }
}

for (const name of ["tiny-gpt-neox", "tiny-gpt-neo"]) {
  const folder = shared("reference", name);
  t.test(`reference ${name}`, { skip: folder === undefined && skipReason }, (t) =>
    checkpointAgrees(t, folder as string, 2e-4),
  );
}

// These models' logits depend on every part of the config by more than this.
for (const name of fixtureNames()) t.test(name, (t) => checkpointAgrees(t, fixture(name), 2e-5));

t.test("half precision stays close to float32", async (t) => {
  for (const name of ["neox-old-keys", "neo-types"]) {
    const expected = readExpected(fixture(name));
    const base = expected.cases.find(({ tag }) => tag === "base");
    for (const dtype of ["bfloat16", "float16"] as const) {
      const model = await loadModel(fixture(name), { dtype, device: "cpu" });
      t.equal(model.dtype, dtype);
      const { data } = await model.logits(expected.input_ids);
      const reference = readFloats(path.join(fixture(name), base?.logits as string));
      const off = difference(data, reference);
      t.ok(off > 0 && off < 0.05, `${name} in ${dtype}: ${off}`);
      await model.dispose();
    }
  }
});

t.test("no bypass, an empty list and a plain call agree bit for bit, before a bypass and after", async (t) => {
  const model = await loadModel(fixture("neox-serial"), { device: "cpu" });
  const tokens = [1, 2, 3, 4, 5, 6];
  const plain = await model.logits(tokens);
  const bypassed = await model.logits(tokens, { bypass: { blocks: [1] } });
  t.not(difference(bypassed.data, plain.data), 0);
  t.same((await model.logits(tokens, { bypass: { blocks: [] } })).data, plain.data);
  t.same((await model.logits(tokens)).data, plain.data);
  await model.dispose();
});
