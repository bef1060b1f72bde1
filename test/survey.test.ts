// The survey of a sweep: it says of several rows what model.divergence and model.attention say of each.
import { loadModel } from "attention-bypass";
import t from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { randomTokens } from "./support/random-model.ts";

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

for (const name of ["neox-serial", "neo-types"]) {
  t.test(name, async (t) => {
    const model = await loadModel(fixture(name), { device: "cpu", threads: 1 });
    const samples = [9, 12, 7, 8].map((length, seed) => randomTokens(length, model.config.vocabularySize, seed));
    const shares: number[] = [];
    const onProgress = (share: number) => shares.push(share);
    const options = {
      samples,
      prefixLength: 3,
      over: ["blocks", { window: 2 }],
      mode: ["zero", "short-circuit"],
    } as const;
    const swept = await model.sweep({ ...options, survey: 3, onProgress });
    const surveyed = samples.slice(0, 3);
    t.same(swept.settings.survey, { rows: 3, tokens: 28 });
    t.same(swept.attention, (await model.attention(surveyed)).blocks);
    for (const { blocks, mode, divergence, name } of swept.variants) {
      const alone = await Promise.all(surveyed.map((tokens) => model.divergence(tokens, { bypass: { blocks, mode } })));
      const close = (found: number | undefined, wanted: number, what: string) =>
        t.ok(Math.abs((found ?? Number.NaN) - wanted) <= 1e-12 * Math.abs(wanted), `${name}, ${mode}: ${what}`);
      t.same(
        divergence?.blocks.map(({ block }) => block),
        alone[0]?.blocks.map(({ block }) => block),
      );
      for (const [place, { distance, bound, attention }] of divergence?.blocks.entries() ?? []) {
        const here = alone.flatMap(({ blocks }) => blocks[place] ?? []);
        const relative = (of: "distance" | "bound") =>
          mean(here.flatMap((one) => one[of].map((value, token) => value / (one.stream[token] as number))));
        close(distance, relative("distance"), "distance");
        close(bound, relative("bound"), "bound");
        t.equal(attention === undefined, here[0]?.attention === undefined);
        if (attention) {
          close(attention.contribution, mean(here.flatMap((one) => one.attention?.contribution ?? [])), "contribution");
          t.equal(attention.bound, here[0]?.attention?.bound);
        }
      }
      const perToken = (of: "divergence" | "bound") => mean(alone.flatMap(({ output }) => output[of]));
      close(divergence?.output.divergence, perToken("divergence"), "KL divergence");
      close(divergence?.output.bound, perToken("bound"), "its bound");
      const tokens = surveyed.map((row) => row.length);
      const share = (of: "topTokenChanged" | "topTokenProvenUnchanged") =>
        alone.reduce((sum, { output }, row) => sum + output[of] * (tokens[row] as number), 0) / 28;
      t.ok(Math.abs((divergence?.output.topTokenChanged ?? -1) - share("topTokenChanged")) < 1e-12);
      t.ok(Math.abs((divergence?.output.topTokenProvenUnchanged ?? -1) - share("topTokenProvenUnchanged")) < 1e-12);
    }
    t.ok(shares.every((share, index) => share > (shares[index - 1] ?? 0)));
    t.equal(shares.at(-1), 1);
    const plain = await model.sweep(options);
    t.same([plain.attention, plain.variants[0]?.divergence, plain.settings.survey], [undefined, undefined, undefined]);
    await model.dispose();
  });
}

t.test("of a text's windows where there are no samples, and however the sweep was resumed", async (t) => {
  const model = await loadModel(fixture("neox-serial"), { device: "cpu", threads: 1 });
  const text = randomTokens(model.config.contextLength * 2, model.config.vocabularySize);
  const resume = `${await temporaryFolder(t)}/sweep.part`;
  const first = await model.sweep({ text, resume });
  t.equal(first.attention, undefined);
  const second = await model.sweep({ text, resume, survey: 1 });
  t.same(second.variants[0]?.perplexity, first.variants[0]?.perplexity);
  t.same(second.attention, (await model.attention([text.slice(0, model.config.contextLength)])).blocks);
  await model.dispose();
});

t.test("a bypass of nothing goes nowhere", async (t) => {
  const model = await loadModel(fixture("neox-serial"), { device: "cpu", threads: 1 });
  const samples = [randomTokens(12, model.config.vocabularySize)];
  const { variants } = await model.sweep({ samples, prefixLength: 3, survey: 1, over: [{ blocks: [] }] });
  t.same(variants[0]?.divergence, {
    blocks: [],
    output: { divergence: 0, bound: 0, topTokenChanged: 0, topTokenProvenUnchanged: 1 },
  });
  await model.dispose();
});

t.test("aborted in the middle of the survey", async (t) => {
  const model = await loadModel(fixture("neox-serial"), { device: "cpu", threads: 1 });
  const samples = [randomTokens(12, model.config.vocabularySize)];
  const controller = new AbortController();
  const reason = new Error("enough");
  // The one row that is scored is a ninth of the work.
  const onProgress = (share: number) => share > 0.5 && controller.abort(reason);
  const call = model.sweep({ samples, prefixLength: 3, survey: 1, signal: controller.signal, onProgress });
  t.equal(await call.catch((error: unknown) => error), reason);
  await model.dispose();
});
