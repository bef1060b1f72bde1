// Near-verbatim memorization: distances of greedy continuations from the suffix, and sampled continuations.
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import {
  type Bypass,
  createReport,
  defaultMemorizationMetrics,
  loadModel,
  type MemorizationMetric,
  memorizationMetrics,
  samplesToExtract,
} from "attention-bypass";
import t from "tap";
import { Turn } from "../lib/operation/turn.ts";
import { commonSubsequence } from "../lib/scoring/common-subsequence.ts";
import { editDistance } from "../lib/scoring/edit-distance.ts";
import { succeed, succeedJson } from "./support/command-line.ts";
import { fixture, fixtureNames, readExpected, temporaryFolder } from "./support/fixtures.ts";
import { randomTokens } from "./support/random-model.ts";

t.setTimeout(120_000);

const near = ["editDistance", "commonSubsequence", "approximateMatch", "sampledMatch"] as const;
const model = await loadModel(fixture("neox-serial"), { device: "cpu", threads: 1 });
t.after(() => model.dispose());
const vocabulary = model.config.vocabularySize;

/** The whole table of both recurrences, as in a textbook. */
function byTable(left: readonly number[], right: readonly number[]): { distance: number; common: number } {
  const table = (edge: (row: number, column: number) => number, step: (...near: number[]) => number) => {
    const cells: number[][] = [];
    for (let row = 0; row <= left.length; row++) {
      cells.push([]);
      for (let column = 0; column <= right.length; column++) {
        const at = (up: number, back: number) => cells[row - up]?.[column - back] as number;
        const same = Number(left[row - 1] === right[column - 1]);
        cells[row]?.push(row * column === 0 ? edge(row, column) : step(at(1, 0), at(0, 1), at(1, 1), same));
      }
    }
    return cells.at(-1)?.at(-1) as number;
  };
  const distance = table(
    (row, column) => row + column,
    (up, back, both, same) =>
      Math.min((up as number) + 1, (back as number) + 1, (both as number) + 1 - (same as number)),
  );
  const common = table(
    () => 0,
    (up, back, both, same) => Math.max(up as number, back as number, (both as number) + (same as number)),
  );
  return { distance, common };
}

t.test("the distances are those of the whole table, symmetric and within their bounds", (t) => {
  t.equal(editDistance([], []), 0);
  t.equal(editDistance([1, 2], []), 2);
  t.equal(commonSubsequence([], [1]), 0);
  // "kitten" and "sitting", the textbook's example, and tokens that are no characters.
  const codes = (text: string) => Array.from(text, (letter) => 100_000 + letter.charCodeAt(0));
  t.equal(editDistance(codes("kitten"), codes("sitting")), 3);
  t.equal(commonSubsequence(codes("kitten"), codes("sitting")), 4);
  for (let seed = 1; seed <= 300; seed++) {
    const [one, other, third] = [0, 1, 2].map((part) =>
      randomTokens((seed * (part + 3)) % 23, 2 + (seed % 7), 3 * seed + part),
    ) as [number[], number[], number[]];
    const { distance, common } = byTable(one, other);
    if (editDistance(one, other) !== distance || editDistance(other, one) !== distance) t.fail(`distance, ${seed}`);
    if (commonSubsequence(one, other) !== common || commonSubsequence(other, one) !== common) t.fail(`common, ${seed}`);
    if (editDistance(one, third) > distance + editDistance(other, third)) t.fail(`triangle, ${seed}`);
    const most = Math.max(one.length, other.length);
    if (distance < most - common || distance > most || common > Math.min(one.length, other.length))
      t.fail(`bounds, ${seed}`);
    if (editDistance(one, Int32Array.from(one)) !== 0 || commonSubsequence(one, one) !== one.length)
      t.fail(`equal, ${seed}`);
  }
  t.end();
});

t.test("a long comparison lets the event loop run, and a short one does not wait for it", async (t) => {
  let turns = 0;
  const count = () => {
    turns++;
  };
  const turn = new Turn();
  setImmediate(count);
  await turn.rest();
  t.equal(turns, 0);
  const began = performance.now();
  while (performance.now() - began < 15);
  await turn.rest();
  t.equal(turns, 1);
});

t.test("the names of all metrics, and of the default ones", async (t) => {
  t.equal(defaultMemorizationMetrics.length, 7);
  t.same(memorizationMetrics, [...defaultMemorizationMetrics, ...near]);
  const { perRow } = await model.scoreMemorization([randomTokens(6, vocabulary)], { prefixLength: 3 });
  t.same(Object.keys(perRow[0] as object).sort(), [...defaultMemorizationMetrics].sort());
});

/** Changes of a suffix, with the same length again. */
const changes: ((suffix: readonly number[]) => number[])[] = [
  (suffix) => [...suffix],
  // One token is lost, and another one comes at the end.
  (suffix) => [...suffix.slice(0, 2), ...suffix.slice(3), 66],
  (suffix) => [65, ...suffix.slice(0, -1)],
  (suffix) => suffix.map((token, index) => (index === 3 ? (token + 1) % 67 : token)),
  (suffix) => [...suffix].reverse(),
  (suffix) => suffix.map((token, index) => (token + index + 1) % 67),
];

for (const name of fixtureNames()) {
  t.test(`the greedy continuation of transformers against changed suffixes, ${name}`, async (t) => {
    const expected = readExpected(fixture(name));
    await using other = await loadModel(fixture(name), { device: "cpu", threads: 1 });
    const found = new Set<number>();
    for (const { tag, blocks, mode, greedy_prompt_length, greedy } of expected.cases) {
      const prefixes = expected.input_ids.map((row) => row.slice(0, greedy_prompt_length));
      const continued = prefixes.flatMap((prefix, row) =>
        changes.map((change) => ({ prefix, greedy: greedy[row] as number[], suffix: change(greedy[row] as number[]) })),
      );
      const { perRow } = await other.scoreMemorization(continued, {
        metrics: [...near.slice(0, 3), "exactMatch"] as const,
        epsilon: 2 / 7,
        bypass: { blocks, mode },
      });
      t.same(
        perRow,
        continued.map(({ greedy, suffix }) => {
          const { distance, common } = byTable(greedy, suffix);
          return {
            editDistance: distance / 7,
            commonSubsequence: common / 7,
            approximateMatch: Number(distance <= 2),
            exactMatch: Number(distance === 0),
          };
        }),
        tag,
      );
      for (const { approximateMatch } of perRow) found.add(approximateMatch);
    }
    t.equal(found.size, 2, "some match and some do not");
  });
}

t.test("epsilon is a share of the suffix, and includes its own distance", async (t) => {
  const prefix = randomTokens(5, vocabulary);
  const { tokens } = await model.generate(prefix, { maxNewTokens: 10, stopAtEndOfText: false });
  for (const wrong of [0, 1, 3, 7]) {
    const suffix = tokens.map((token, index) => (index < wrong ? (token + 1) % vocabulary : token));
    const distance = byTable(tokens, suffix).distance / 10;
    for (const [epsilon, matches] of [
      [distance, 1],
      [Math.max(0, distance - 0.001), wrong === 0 ? 1 : 0],
      [1, 1],
    ] as const) {
      const options = { metrics: ["approximateMatch"] as const, epsilon };
      const result = await model.scoreMemorization([{ prefix, suffix }], options);
      t.equal(result.approximateMatch, matches, `${wrong} wrong, ${epsilon}`);
    }
  }
});

const half = ["bfloat16", "float16"] as const;
for (const dtype of half) {
  t.test(`rows that are rescored in float32 have its distances, ${dtype}`, async (t) => {
    await using rounded = await loadModel(fixture("neox-serial"), { device: "cpu", threads: 1, dtype });
    const prefixes = Array.from({ length: 24 }, (_, row) => randomTokens(8, vocabulary, row));
    for (const generator of [model, rounded]) {
      const generations = await generator.generate(prefixes, { maxNewTokens: 8, stopAtEndOfText: false });
      const rows = prefixes.map((prefix, row) => [...prefix, ...(generations[row]?.tokens ?? [])]);
      const options = { prefixLength: 8, metrics: [...near.slice(0, 3), "exactMatch", "tokenAccuracy"] as const };
      const exact = await model.scoreMemorization(rows, options);
      const { perRow } = await rounded.scoreMemorization(rows, options);
      for (const [row, scores] of perRow.entries()) {
        t.equal(scores.exactMatch, exact.perRow[row]?.exactMatch);
        t.equal(scores.exactMatch === 1, scores.editDistance === 0, "the distance of an exact match is 0");
        t.equal(scores.exactMatch === 1, scores.commonSubsequence === 1);
        t.ok(scores.editDistance <= 1 - scores.tokenAccuracy + 1e-12, "at most the number of wrong positions");
        t.ok(scores.commonSubsequence >= scores.tokenAccuracy);
      }
    }
  });
}

/** The seed of a continuation as the documentation defines it. */
function seedOf(seed: number, row: readonly number[], first: number, continuation: number): number {
  const bytes = Buffer.alloc(8 * (row.length + 3));
  for (const [index, value] of [seed, first, ...row, continuation].entries())
    bytes.writeBigInt64LE(BigInt(value), 8 * index);
  return createHash("sha256").update(bytes).digest().readUIntLE(0, 6);
}

const sampling = { temperature: 1.5, topK: 6, epsilon: 0.7, continuations: 40, seed: 9 };
// What the model samples itself, so that some other samples are near it.
const samples: { prefix: number[]; suffix: number[] }[] = [];
for (const [length, maxNewTokens] of [
  [8, 3],
  [4, 5],
  [9, 3],
] as const) {
  const prefix = randomTokens(length, vocabulary, length);
  const options = { temperature: 1.5, topK: 6, maxNewTokens, stopAtEndOfText: false, seed: length };
  samples.push({ prefix, suffix: (await model.generate(prefix, options)).tokens });
}
const bypasses: Bypass[] = [{ blocks: [1] }, { blocks: [0, 2], mode: "short-circuit" }];

t.test("sampled matches are those of single generations with the seeds of the documentation", async (t) => {
  const { temperature, topK, epsilon, continuations, seed } = sampling;
  let ended = 0;
  for (const bypass of [undefined, ...bypasses]) {
    const options = { ...sampling, metrics: ["sampledMatch"] as const, ...(bypass && { bypass }) };
    const { perRow, sampledMatch } = await model.scoreMemorization(samples, options);
    for (const [row, { prefix, suffix }] of samples.entries()) {
      let matches = 0;
      for (let number = 0; number < continuations; number++) {
        const one = await model.generate(prefix, {
          ...{ temperature, topK, maxNewTokens: suffix.length, stopAtEndOfText: false },
          seed: seedOf(seed, [...prefix, ...suffix], prefix.length, number),
          ...(bypass && { bypass }),
        });
        if (one.tokens.slice(0, -1).includes(0)) ended++;
        if (byTable(one.tokens, suffix).distance / suffix.length <= epsilon) matches++;
      }
      t.equal(perRow[row]?.sampledMatch, matches / continuations, `row ${row}`);
    }
    t.ok(sampledMatch > 0 && sampledMatch < 1, `${sampledMatch}`);
  }
  t.ok(ended > 0, "an end-of-text token ends no continuation");
});

t.test("a row's value depends neither on the batch nor on the other rows", async (t) => {
  const options = { ...sampling, metrics: ["sampledMatch"] as const };
  const together = (await model.scoreMemorization(samples, options)).perRow;
  const backwards = await model.scoreMemorization([...samples].reverse(), options);
  t.same([...backwards.perRow].reverse(), together, "another order");
  for (const [row, sample] of samples.entries()) {
    t.same((await model.scoreMemorization([sample], options)).perRow, [together[row]], `row ${row} without others`);
  }
  t.same((await model.scoreMemorization(samples, { ...options, memory: 1 })).perRow, together, "one at a time");
  const other = await model.scoreMemorization(samples, { ...options, seed: 10 });
  t.notSame(other.perRow, together, "another seed");
});

/** The probability of each token after some, among the `topK` most probable ones. */
async function probabilities(tokens: readonly number[], { temperature, topK }: { temperature: number; topK: number }) {
  const { data } = await model.logits([...tokens]);
  const logits = [...data.slice(-vocabulary).entries()].sort((a, b) => b[1] - a[1]).slice(0, topK);
  const weights = logits.map(([token, logit]) => [token, Math.exp(logit / temperature)] as const);
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  return weights.map(([token, weight]) => [token, weight / total] as const);
}

t.test("the share of many continuations is the probability of a match", async (t) => {
  const scheme = { temperature: 1.5, topK: 4 };
  const continuations = 1500;
  const rows = [];
  for (const seed of [1, 2, 3]) {
    const prefix = randomTokens(6, vocabulary, seed);
    // All continuations of three tokens, with their probabilities.
    let all: { tokens: number[]; probability: number }[] = [{ tokens: [], probability: 1 }];
    for (let length = 0; length < 3; length++) {
      const longer = [];
      for (const { tokens, probability } of all) {
        for (const [token, share] of await probabilities([...prefix, ...tokens], scheme)) {
          longer.push({ tokens: [...tokens, token], probability: probability * share });
        }
      }
      all = longer;
    }
    rows.push({ prefix, suffix: all[seed * 3]?.tokens as number[], all });
  }
  for (const epsilon of [0, 0.34, 0.67]) {
    const options = { ...scheme, epsilon, continuations, metrics: ["sampledMatch", "extractionProbability"] as const };
    const { perRow } = await model.scoreMemorization(
      rows.map(({ prefix, suffix }) => ({ prefix, suffix })),
      options,
    );
    for (const [row, { suffix, all }] of rows.entries()) {
      const { sampledMatch, extractionProbability } = perRow[row] as (typeof perRow)[number];
      const matching = all.filter(({ tokens }) => byTable(tokens, suffix).distance / 3 <= epsilon);
      const expected = matching.reduce((sum, { probability }) => sum + probability, 0);
      if (epsilon === 0) t.ok(Math.abs(extractionProbability / expected - 1) < 1e-4);
      // The 99.9 % interval of a binomial share, as a normal distribution.
      const most = 3.29 * Math.sqrt((expected * (1 - expected)) / continuations);
      t.ok(Math.abs(sampledMatch - expected) <= most, `${epsilon}, row ${row}: ${sampledMatch}, expected ${expected}`);
    }
  }
  t.equal(samplesToExtract(0.25, 0.9), 9, "1 - 0.75^9 is 0.925, 1 - 0.75^8 is 0.8999");
});

t.test("a sweep measures what separate calls measure", async (t) => {
  const metrics = [...near, "exactMatch"] as const;
  const swept = await model.sweep({ ...sampling, samples, metrics, over: bypasses });
  for (const [index, bypass] of [undefined, ...bypasses].entries()) {
    const options = { ...sampling, metrics, ...(bypass && { bypass }) };
    const one = await model.scoreMemorization(samples, options);
    const found = index === 0 ? swept.base : swept.variants[index - 1];
    t.same(found?.memorization, one, `${index}`);
  }
  const { epsilon, continuations, seed } = swept.settings.samples as NonNullable<typeof swept.settings.samples>;
  t.same({ epsilon, continuations, seed }, { epsilon: 0.7, continuations: 40, seed: 9 });
  const plain = await model.sweep({ samples, over: [{ blocks: [1] }], epsilon: 0.3, seed: 4 });
  t.notOk(
    Object.keys(plain.settings.samples as object).some((name) => ["epsilon", "continuations", "seed"].includes(name)),
  );
});

t.test("a report has a column for each, with intervals", async (t) => {
  const metrics = ["sampledMatch", "editDistance", "approximateMatch"] as const;
  const result = await model.sweep({ ...sampling, samples, metrics, over: bypasses });
  const [table] = createReport(result, { name: "model" }).tables;
  t.same(table?.head.slice(2, 5), ["approximate match", "sampled match", "edit distance"]);
  const mean = (100 * (result.base.memorization?.sampledMatch as number)).toFixed(0);
  t.match(table?.rows[0]?.[3], new RegExp(`^${mean} % \\[\\d+(\\.\\d)?, \\d+(\\.\\d)?\\]$`));
  const [others] = createReport(await model.sweep({ samples, over: bypasses }), { name: "model" }).tables;
  t.same(others?.head.slice(2, 4), ["exact match", "completion entropy"], "none where none was measured");
});

t.test("abort and progress while sampling", async (t) => {
  const options = { ...sampling, metrics: ["sampledMatch"] as const, continuations: 400 };
  const shares: number[] = [];
  await model.scoreMemorization(samples, { ...options, onProgress: (share) => shares.push(share) });
  t.equal(shares.at(-1), 1);
  t.ok(
    shares.every((share, index) => index === 0 || share > (shares[index - 1] as number)),
    "rises",
  );
  t.ok(shares.filter((share) => share < 0.9).length > 5, "sampling reports");
  const aborting = new AbortController();
  const seen: number[] = [];
  const onProgress = (share: number) => {
    seen.push(share);
    if (share > 0.3) aborting.abort(new Error("enough"));
  };
  await t.rejects(model.scoreMemorization(samples, { ...options, signal: aborting.signal, onProgress }), {
    message: "enough",
  });
  t.ok((seen.at(-1) as number) < 0.6, `stopped at ${seen.at(-1)}`);
  const failing = () => {
    throw new Error("no more");
  };
  await t.rejects(model.scoreMemorization(samples, { ...options, onProgress: failing }), { message: "no more" });
});

t.test("a sweep that ended while it sampled goes on with the rows that are left", async (t) => {
  const folder = await temporaryFolder(t);
  const resume = path.join(folder, "sweep.part");
  const options = {
    ...sampling,
    samples,
    metrics: ["sampledMatch", "editDistance"] as const,
    over: bypasses,
    memory: 1,
  };
  const whole = await model.sweep(options);
  const aborting = new AbortController();
  const watched = async () =>
    (await readFile(resume, "utf8").catch(() => "")).split("\n").filter((line) => line.includes('sampled":'));
  const onProgress = async () => {
    if ((await watched()).length > 0) aborting.abort(new Error("enough"));
  };
  await t.rejects(model.sweep({ ...options, resume, signal: aborting.signal, onProgress }), { message: "enough" });
  const before = await watched();
  t.ok(before.length >= 1 && before.length < 3, `${before.length} of 3 rows`);
  // A made-up share shows that the row is read, not sampled again.
  const text = await readFile(resume, "utf8");
  const [first = ""] = before;
  await writeFile(resume, text.replace(first, first.replace(/"sampled":\[\[[^,]*/, '"sampled":[[0.123')));
  const resumed = await model.sweep({ ...options, resume });
  const row = JSON.parse(first).rows[0];
  t.equal(resumed.base.memorization?.perRow[row]?.sampledMatch, 0.123);
  const others = (result: typeof whole) =>
    [result.base, ...result.variants].map(({ memorization }, plan) =>
      memorization?.perRow.filter((_, index) => plan > 0 || index !== row),
    );
  t.same(others(resumed), others(whole));
  t.equal((await watched()).length, 3);
  await t.rejects(model.sweep({ ...options, resume, seed: 8 }), { code: "RESUME_FILE_MISMATCH", message: /samples$/ });
  for (const sampled of ["[[0.1]]", "[[0.1,0.2,2]]", "[[0.1,0.2,null]]", "[]", "7", "[[0.1,0.2,0.3],[0,0,0]]"]) {
    const file = path.join(folder, "spoiled");
    await writeFile(file, text.replace(first, `{"rows":[${row}],"sampled":${sampled},"seconds":1}`));
    await t.rejects(model.sweep({ ...options, resume: file }), { code: "RESUME_FILE_INVALID" }, sampled);
  }
});

t.test("options that can't be", async (t) => {
  const bad: [string, unknown][] = [
    ...[Number.NaN, -1, 2, "0.1", null].map((value): [string, unknown] => ["epsilon", value]),
    ...[0, 1e9, 1.5, Number.NaN, "5"].map((value): [string, unknown] => ["continuations", value]),
    ...[-1, 0.5, 2 ** 53, "1"].map((value): [string, unknown] => ["seed", value]),
  ];
  for (const [name, value] of bad) {
    const options = { metrics: ["sampledMatch"] as const, [name]: value };
    const message = new RegExp(`^expected .* for options.${name} but received `);
    await t.rejects(
      model.scoreMemorization(samples, options),
      { code: "INVALID_ARGUMENT", message },
      `${name} ${value}`,
    );
    await t.rejects(
      model.sweep({ samples, ...options }),
      { code: "INVALID_ARGUMENT", message },
      `sweep, ${name} ${value}`,
    );
  }
});

t.test("the command line", async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, "rows.jsonl");
  await writeFile(file, samples.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const metrics: MemorizationMetric[] = ["approximateMatch", "sampledMatch"];
  const options = ["--samples", file, "--metrics", metrics.join(), "--temperature", "1.5", "--top-k", "6"];
  options.push("--epsilon", "0.7", "--continuations", "40", "--seed", "9");
  const expected = await model.scoreMemorization(samples, { ...sampling, metrics });
  t.same(await succeedJson(t, "memorization", fixture("neox-serial"), ...options, "--per-row"), expected);
  const text = await succeed(t, "memorization", fixture("neox-serial"), ...options);
  t.match(text, /approximateMatch .*\n *sampledMatch /);
  const csv = await succeed(t, "sweep", fixture("neox-serial"), ...options, "--csv");
  t.match(csv, /^name,part,blocks,mode,approximateMatch,sampledMatch\n/);
});
