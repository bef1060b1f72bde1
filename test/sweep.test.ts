// A sweep gives what separate calls give: on both families, in both modes, for all kinds of block sets, under any
// memory budget, and on whichever part of the way it is interrupted (sweep-resume.test.ts).
import {
  type Bypass,
  loadModel,
  type MemorizationResult,
  type Model,
  type SweepOptions,
  type Variant,
} from "attention-bypass";
import t, { type Test } from "tap";
import { leastOperations } from "../bench/least-operations.mjs";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { randomTokens, writeRandomModel } from "./support/random-model.ts";

t.setTimeout(600_000);

/** One thread: tests run side by side. */
const here = { device: "cpu", threads: 1 } as const;
const vocabulary = 67;
const prefixLength = 7;
const length = 20;

/**
 * Rows that the model completes wholly, up to some token, after one wrong token again, and not at all, so that
 * decoding begins everywhere and goes on to everywhere.
 */
async function rowsFor(model: Model): Promise<number[][]> {
  const prefixes = Array.from({ length: 10 }, (_, row) => randomTokens(prefixLength, vocabulary, row));
  const generations = await model.generate(prefixes, { maxNewTokens: length - prefixLength, stopAtEndOfText: false });
  return generations.map(({ tokens }, row) => {
    const prefix = prefixes[row] as number[];
    if (row < 3) return [...prefix, ...tokens];
    if (row > 7) return [...prefix, ...randomTokens(length - prefixLength, vocabulary, 100 + row)];
    const changed = [...tokens];
    const place = (row - 3) * 3;
    changed[place] = ((tokens[place] as number) + 1) % vocabulary;
    return [...prefix, ...changed];
  });
}

function near(t: Test, name: string, one: number, other: number, tolerance = 2e-5): void {
  t.ok(Math.abs(one - other) <= tolerance * Math.max(1, Math.abs(other)), name, { one, other });
}

function sameMemorization(t: Test, name: string, swept: MemorizationResult, alone: MemorizationResult): void {
  t.equal(swept.rows, alone.rows, `${name}: rows`);
  for (const [index, row] of swept.perRow.entries()) {
    const other = alone.perRow[index] as MemorizationResult;
    for (const metric of ["exactMatch", "tokenAccuracy", "teacherForcedAccuracy", "extractableLength"] as const) {
      t.equal(row[metric], other[metric], `${name}: ${metric} of row ${index}`);
    }
    for (const metric of ["completionEntropy", "suffixLogLikelihood", "extractionProbability"] as const) {
      near(t, `${name}: ${metric} of row ${index}`, row[metric], other[metric]);
    }
  }
}

/** Log-likelihood and entropy of a row's suffix from the logits, in double precision. */
async function fromLogits(model: Model, row: number[], bypass: Bypass | undefined) {
  const { data } = await model.logits(row, bypass && { bypass });
  let logLikelihood = 0;
  let entropy = 0;
  for (let position = prefixLength - 1; position < row.length - 1; position++) {
    const logits = Array.from(data.subarray(position * vocabulary, (position + 1) * vocabulary));
    const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
    logLikelihood += (logits[row[position + 1] as number] as number) - total;
    for (const logit of logits) entropy -= Math.exp(logit - total) * (logit - total);
  }
  return { logLikelihood, entropy };
}

const bypassOf = ({ blocks, mode }: Variant): Bypass => ({ blocks, mode });

/** Some blocks of three, in some mode, the same each time. */
const randomSets: Bypass[] = Array.from({ length: 6 }, (_, seed) => {
  const [first = 0, second = 0, third = 0] = randomTokens(3, 2, 50 + seed);
  const blocks = [first, second, third].flatMap((chosen, block) => (chosen === 1 ? [block] : []));
  return seed % 2 === 0 ? { blocks } : { blocks, mode: "short-circuit" as const };
});

const everySet: Bypass[] = [
  ...randomSets,
  { blocks: [] },
  { blocks: [0, 1, 2] },
  { blocks: [0, 1, 2], mode: "short-circuit" },
  { blocks: [1, 2] },
  { blocks: { from: 1 }, mode: "short-circuit" },
];

const sweeps: Record<string, Pick<SweepOptions, "over" | "mode">> = {
  "each block, both modes": { over: "blocks", mode: ["zero", "short-circuit"] },
  quartiles: { over: "quartiles" },
  "pairs, short-circuit": { over: "pairs", mode: "short-circuit" },
  windows: { over: { window: 2 }, mode: ["zero", "short-circuit"] },
  "sets of one's own": { over: everySet, mode: "zero" },
};

for (const name of ["neox-full-rotary", "neox-serial", "neox-tied", "neo-types", "neo-attention-layers"]) {
  t.test(name, async (t) => {
    const model = await loadModel(fixture(name), here);
    const rows = await rowsFor(model);
    const known = new Map<string, MemorizationResult>();
    const alone = async (bypass: Bypass | undefined) => {
      const key = JSON.stringify(bypass);
      const result =
        known.get(key) ?? (await model.scoreMemorization(rows, { prefixLength, ...(bypass && { bypass }) }));
      known.set(key, result);
      return result;
    };
    for (const [kind, over] of Object.entries(sweeps)) {
      for (const memory of [undefined, 1, 190e6]) {
        const result = await model.sweep({
          samples: rows,
          prefixLength,
          ...over,
          ...(memory !== undefined && { memory }),
        });
        const title = `${kind}, ${memory === undefined ? "default memory" : `${memory} bytes`}`;
        sameMemorization(t, `${title}: base`, result.base.memorization as MemorizationResult, await alone(undefined));
        for (const variant of result.variants) {
          const swept = variant.memorization as MemorizationResult;
          sameMemorization(t, `${title}: ${variant.name} ${variant.mode}`, swept, await alone(bypassOf(variant)));
        }
      }
    }

    // What separate calls give comes out of the same core, so some of it is had another way.
    for (const bypass of [undefined, ...everySet]) {
      const title = JSON.stringify(bypass) ?? "no bypass";
      const scores = (await alone(bypass)).perRow;
      const generations = await model.generate(
        rows.map((row) => row.slice(0, prefixLength)),
        { maxNewTokens: length - prefixLength, stopAtEndOfText: false, ...(bypass && { bypass }) },
      );
      for (const [index, row] of rows.entries()) {
        const suffix = row.slice(prefixLength);
        const right = generations[index]?.tokens.filter((token, place) => token === suffix[place]).length as number;
        const { tokenAccuracy, suffixLogLikelihood, completionEntropy } = scores[index] as MemorizationResult;
        t.equal(tokenAccuracy, right / suffix.length, `${title}: generating row ${index}`);
        const { logLikelihood, entropy } = await fromLogits(model, row, bypass);
        near(t, `${title}: log-likelihood of row ${index} from logits`, suffixLogLikelihood, logLikelihood);
        near(t, `${title}: entropy of row ${index} from logits`, completionEntropy, entropy);
      }
    }
    await model.dispose();
  });
}

t.test("names and blocks", async (t) => {
  const model = await loadModel(fixture("neox-sharded"), here);
  const samples = [randomTokens(12, vocabulary)];
  const names = async (options: Pick<SweepOptions, "over" | "mode">) =>
    (await model.sweep({ samples, prefixLength: 4, metrics: ["exactMatch"], ...options })).variants.map(
      ({ name, blocks, mode }) => `${name} [${blocks}] ${mode}`,
    );
  t.same(await names({}), ["block 0 [0] zero", "block 1 [1] zero", "block 2 [2] zero", "block 3 [3] zero"]);
  t.same(await names({ over: "quartiles", mode: "short-circuit" }), [
    "quartile 1 [0] short-circuit",
    "quartile 2 [1] short-circuit",
    "quartile 3 [2] short-circuit",
    "quartile 4 [3] short-circuit",
  ]);
  t.equal((await names({ over: "pairs" })).length, 6);
  t.same(await names({ over: { window: 3 } }), ["blocks 0, 1, 2 [0,1,2] zero", "blocks 1, 2, 3 [1,2,3] zero"]);
  t.same(await names({ over: ["quartiles", { window: 3 }, { blocks: { quartile: 2 } }, "heads"] }), [
    ...[1, 2, 3, 4].map((quartile) => `quartile ${quartile} [${quartile - 1}] zero`),
    ...["blocks 0, 1, 2 [0,1,2] zero", "blocks 1, 2, 3 [1,2,3] zero"],
    "quartile 2 [1] zero",
    ...[0, 1, 2, 3].flatMap((block) => [0, 1, 2, 3].map((head) => `block ${block} head ${head} [] zero`)),
  ]);
  t.same(
    await names({
      over: [{ blocks: [3], mode: "short-circuit" }, { blocks: { from: 2 } }],
      mode: ["zero", "short-circuit"],
    }),
    ["block 3 [3] short-circuit", "blocks 2, 3 [2,3] zero", "blocks 2, 3 [2,3] short-circuit"],
  );
  await model.dispose();
});

t.test("rows of many lengths, a text and tasks beside samples", async (t) => {
  const model = await loadModel(fixture("neo-types"), here);
  const samples = Array.from({ length: 9 }, (_, row) => {
    const all = randomTokens(6 + 4 * row, vocabulary, row);
    return { prefix: all.slice(0, 1 + row), suffix: all.slice(1 + row) };
  });
  const text = randomTokens(150, vocabulary, 77);
  const questions = Array.from({ length: 8 }, (_, index) => ({
    query: randomTokens(3 + index, vocabulary, 200 + index),
    choices: [0, 1, 2].map((choice) => randomTokens(1 + ((index + choice) % 3), vocabulary, 300 + 3 * index + choice)),
    gold: index % 3,
  }));
  const shape = { contextLength: 40, stride: 25 };
  const result = await model.sweep({
    samples,
    text,
    ...shape,
    tasks: [{ name: "guesses", questions }],
    mode: ["zero", "short-circuit"],
  });
  for (const scores of [result.base, ...result.variants]) {
    const bypass = "name" in scores ? { bypass: bypassOf(scores as Variant) } : {};
    const title = "name" in scores ? `${(scores as Variant).name} ${(scores as Variant).mode}` : "base";
    sameMemorization(
      t,
      title,
      scores.memorization as MemorizationResult,
      await model.scoreMemorization(samples, bypass),
    );
    const { perplexity, tokenCount } = await model.perplexity(text, { ...shape, ...bypass });
    near(t, `${title}: perplexity`, scores.perplexity?.perplexity as number, perplexity);
    t.equal(scores.perplexity?.tokenCount, tokenCount);
    const pairs = questions.flatMap(({ query, choices }) => choices.map((suffix) => ({ prefix: query, suffix })));
    const { perRow } = await model.scoreMemorization(pairs, { metrics: ["suffixLogLikelihood"], ...bypass });
    const answers = questions.map(({ gold }, index) => {
      const likelihoods = perRow.slice(3 * index, 3 * index + 3).map((row) => row.suffixLogLikelihood);
      return likelihoods.indexOf(Math.max(...likelihoods)) === gold;
    });
    t.same(
      scores.tasks?.guesses?.perQuestion.map(({ correct }) => correct),
      answers,
      `${title}: answers`,
    );
    t.equal(scores.tasks?.guesses?.accuracy, answers.filter(Boolean).length / questions.length);
  }
  await model.dispose();
});

t.test("other sampling goes by whole logits, and gives the same beside", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  const rows = await rowsFor(model);
  const plain = await model.scoreMemorization(rows, { prefixLength });
  const scheme = { temperature: 0.7, topK: 5 };
  const result = await model.sweep({ samples: rows, prefixLength, ...scheme });
  const metrics = ["exactMatch", "tokenAccuracy", "completionEntropy", "suffixLogLikelihood"] as const;
  for (const metric of metrics) near(t, metric, result.base.memorization?.[metric] as number, plain[metric]);
  const alone = await model.scoreMemorization(rows, { prefixLength, ...scheme });
  near(
    t,
    "extractionProbability",
    result.base.memorization?.extractionProbability as number,
    alone.extractionProbability,
  );
  await model.dispose();
});

t.test("weights that stay in their files give the same", async (t) => {
  for (const name of ["neox-full-rotary", "neox-sharded-bin", "neox-tied", "neo-types"]) {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const [resident, offloaded] = await Promise.all(
        [false, true].map((offload) => loadModel(fixture(name), { ...here, dtype, offload })),
      );
      const rows = await rowsFor(resident as Model);
      const sweep = (model: Model | undefined) =>
        (model as Model).sweep({ samples: rows, prefixLength, mode: ["zero", "short-circuit"] });
      const [expected, found] = [await sweep(resident), await sweep(offloaded)];
      t.same([found.base, found.variants], [expected.base, expected.variants], `${name}, ${dtype}`);
      t.same(await offloaded?.logits(rows), await resident?.logits(rows), `${name}, ${dtype}: logits`);
      await Promise.all([resident?.dispose(), offloaded?.dispose()]);
    }
  }
});

t.test("half precision says how far it is from float32, and settles exact matches in float32", async (t) => {
  for (const name of ["neox-full-rotary", "neo-types"]) {
    const exact = await loadModel(fixture(name), here);
    const rows = await rowsFor(exact);
    const options = { samples: rows, prefixLength, mode: ["zero", "short-circuit"] as const };
    const expected = await exact.sweep(options);
    t.notHas(expected, { precision: {} }, "float32 is not compared with itself");
    for (const dtype of ["bfloat16", "float16"] as const) {
      const model = await loadModel(fixture(name), { ...here, dtype });
      const result = await model.sweep({ ...options, compareRows: 10 });
      const matches = ({ base, variants }: typeof result) =>
        [base, ...variants].map(({ memorization }) => memorization?.perRow.map(({ exactMatch }) => exactMatch));
      t.same(matches(result), matches(expected), `${name}, ${dtype}: exact matches`);
      const { precision } = result;
      t.match(precision, { dtype, reference: "float32", rows: 10 });
      const largest = precision?.logLikelihood.largest as number;
      // The file has float16. A processor that is slow in float16 computes with it in float32, so nothing is rounded.
      const rounds = name !== "neo-types" || dtype !== "float16" || !model.deviceReason.includes("computes in float32");
      t.ok(
        largest > 1e-6 === rounds && largest < 0.1,
        `${name}, ${dtype}: log-likelihoods differ by ${largest} at most`,
      );
      t.ok((precision?.logLikelihood.mean as number) <= largest);
      const entropies = [...expected.variants.entries()].map(([index, { memorization }]) =>
        Math.abs(
          (result.variants[index]?.memorization?.completionEntropy as number) -
            (memorization?.completionEntropy as number),
        ),
      );
      t.ok(Math.max(...entropies) <= (precision?.entropy.largest as number) * (length - prefixLength));
      const decoded = [...expected.variants.entries()].map(([index, { memorization }]) =>
        Math.abs(
          (result.variants[index]?.memorization?.tokenAccuracy as number) - (memorization?.tokenAccuracy as number),
        ),
      );
      t.ok(Math.max(...decoded) < 0.1, `${name}, ${dtype}: decoding goes the same way, but for near ties`);
      await model.dispose();
    }
    await exact.dispose();
  }
});

t.test("no work is done that is not needed", async (t) => {
  const folder = await temporaryFolder(t);
  await writeRandomModel(folder, { blocks: 8, width: 64, heads: 4, vocabulary: 500 });
  const model = await loadModel(folder, here);
  const samples = Array.from({ length: 6 }, (_, row) => randomTokens(64, 500, row));
  const shape = { rows: 6, length: 64, prefixLength: 32 };
  for (const metrics of [["exactMatch"], ["tokenAccuracy", "extractableLength"]] as const) {
    const { base, variants, cost } = await model.sweep({ samples, prefixLength: 32, metrics });
    const decoded = [base, ...variants].map(({ memorization }) =>
      (memorization?.perRow ?? []).reduce(
        (sum, row) =>
          sum + ("tokenAccuracy" in row ? Math.max(0, 31 - (row as MemorizationResult).extractableLength) : 0),
        0,
      ),
    );
    const excess = cost.operations / leastOperations(model.config, shape, decoded);
    t.ok(excess >= 0.99 && excess <= 1.2, `${metrics}: ${excess} times the fewest operations`);
  }
  await model.dispose();
});
