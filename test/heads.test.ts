// Bypasses of single heads and mean ablation, and what attention adds: against hooks on Hugging Face's modules.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import {
  type Bypass,
  type BypassMeans,
  type BypassMode,
  type BypassPart,
  type ErrorCode,
  loadModel,
  type Model,
  type RandomSets,
} from "attention-bypass";
import t, { type Test } from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { noPython, python, references } from "./support/python.ts";
import { randomTokens } from "./support/random-model.ts";
import { refuses } from "./support/refusals.ts";

t.setTimeout(600_000);
const interpreter = python() ?? "";
const withoutPython = interpreter === "" && noPython;
const here = { device: "cpu", threads: 1 } as const;

const bypassParts = ["attention", "mlp", "both"] as const satisfies readonly BypassPart[];

interface Case {
  part?: BypassPart;
  mode: BypassMode;
  blocks: number[];
  heads: Record<number, number[]>;
}

const cases: Case[] = [
  { mode: "zero", blocks: [], heads: { 0: [0] } },
  { mode: "zero", blocks: [], heads: { 1: [1, 3], 2: [0, 1, 2, 3] } },
  { mode: "zero", blocks: [0], heads: { 2: [2] } },
  { mode: "short-circuit", blocks: [], heads: { 0: [3], 1: [0, 2] } },
  { mode: "mean", blocks: [], heads: { 1: [1], 2: [3] } },
  { mode: "mean", blocks: [1], heads: {} },
  { mode: "mean", blocks: [0, 2], heads: { 1: [0] } },
  { part: "mlp", mode: "zero", blocks: [1], heads: {} },
  { part: "mlp", mode: "zero", blocks: [0, 2], heads: {} },
  { part: "mlp", mode: "mean", blocks: [0, 1], heads: {} },
  { part: "both", mode: "zero", blocks: [1], heads: {} },
  { part: "both", mode: "zero", blocks: [0, 1, 2], heads: {} },
  { part: "both", mode: "mean", blocks: [0, 2], heads: {} },
  // Every set of two of the three blocks, among which random sets are.
  ...bypassParts.flatMap((part) =>
    [
      [0, 1],
      [0, 2],
      [1, 2],
    ].map((blocks): Case => ({ part, mode: "zero", blocks, heads: {} })),
  ),
];

interface Reference {
  means: number[][];
  mlp_means: number[][];
  shares: number[];
  head_shares: number[][];
  logits: number[][];
}

function close(t: Test, ours: ArrayLike<number>, theirs: readonly number[], tolerance: number, name: string) {
  const largest = Math.max(...theirs.map(Math.abs));
  const off = Math.max(...theirs.map((value, index) => Math.abs(value - (ours[index] as number))));
  t.equal(ours.length, theirs.length, `${name}: as many`);
  t.ok(off <= tolerance * largest, `${name}: off by ${off} of ${largest}`);
}

const bypassOf = ({ part, mode, blocks, heads }: Case, means: BypassMeans): Bypass => ({
  blocks,
  ...(Object.keys(heads).length > 0 && { heads }),
  ...(part && { part }),
  mode,
  ...(mode === "mean" && { means }),
});

const names = [
  "neox-serial",
  "neox-no-attention-bias",
  "neox-full-rotary",
  "neo-types",
  "neo-attention-layers",
  "gpt2",
  "gpt2-untied",
];

t.test("what hooks on Hugging Face's modules give", { skip: withoutPython }, async (t) => {
  const folder = await temporaryFolder(t);
  const requests: { name: string; rows: number[][]; file: string }[] = [];
  for (const name of names) {
    await using model = await loadModel(fixture(name), here);
    const rows = [0, 1, 2].map((seed) => randomTokens(12, model.config.vocabularySize, seed));
    const file = path.join(folder, `${name}.json`);
    await writeFile(file, JSON.stringify({ rows, cases }));
    requests.push({ name, rows, file });
  }
  const lists = requests.map(({ name, file }) => [fixture(name), file]);
  const all = await references<Reference>(interpreter, "attention_hooks.py", lists);
  for (const [index, { name, rows }] of requests.entries())
    await t.test(name, (t) => agrees(t, name, rows, all[index] as Reference));
});

async function agrees(t: Test, name: string, rows: number[][], theirs: Reference) {
  await using model = await loadModel(fixture(name), here);
  const { blocks, means, tokens } = await model.attention(rows);
  t.equal(tokens, 36);
  close(
    t,
    blocks.map(({ share }) => share),
    theirs.shares,
    1e-5,
    "shares",
  );
  for (const [index, wanted] of theirs.means.entries()) {
    close(t, means.blocks[index] as ArrayLike<number>, wanted, 1e-5, `mean of block ${index}`);
    const mlp = theirs.mlp_means[index] as number[];
    close(t, means.mlps?.[index] as ArrayLike<number>, mlp, 1e-5, `mean of the MLP of block ${index}`);
    close(t, blocks[index]?.heads ?? [], theirs.head_shares[index] as number[], 1e-5, `heads of block ${index}`);
  }
  for (const [index, one] of cases.entries()) {
    const { data } = await model.logits(rows, { bypass: bypassOf(one, means) });
    close(t, data, theirs.logits[index] as number[], 2e-4, JSON.stringify(one));
  }
  await everyCallAgrees(t, model, rows, means);
  await randomSetsAgree(t, model, rows, theirs);
}

/** The log-likelihood of a row's suffix from the logits of its forward pass, in double precision. */
function suffixLogLikelihood(logits: readonly number[], row: readonly number[], prefixLength: number): number {
  const width = logits.length / row.length;
  return row.slice(prefixLength).reduce((sum, token, index) => {
    const begin = (prefixLength + index - 1) * width;
    const next = logits.slice(begin, begin + width);
    return sum + (next[token] as number) - Math.log(next.reduce((total, logit) => total + Math.exp(logit), 0));
  }, 0);
}

/** A sweep over random sets with each part gives what hooks give for memorized rows and for control rows. */
async function randomSetsAgree(t: Test, model: Model, rows: number[][], theirs: Reference) {
  const prefixLength = 5;
  const { variants } = await model.sweep({
    samples: rows.slice(0, 2),
    control: rows.slice(2),
    prefixLength,
    over: ["blocks", { random: { size: 2, count: 2, seed: 7 } }],
    part: bypassParts,
  });
  const random = variants.filter(({ kind }) => kind === "random");
  t.same(
    random.map(({ part }) => part),
    bypassParts.flatMap((part) => [part, part]),
  );
  for (const { name, part, blocks, memorization, control } of random) {
    const place = cases.findIndex(
      (one) => one.part === part && one.mode === "zero" && one.blocks.join() === blocks.join(),
    );
    const logits = theirs.logits[place] as number[];
    const size = logits.length / rows.length;
    const wanted = rows.map((row, index) =>
      suffixLogLikelihood(logits.slice(index * size, (index + 1) * size), row, prefixLength),
    );
    const swept = [...(memorization?.perRow ?? []), ...(control?.perRow ?? [])];
    close(
      t,
      swept.map((row) => row.suffixLogLikelihood),
      wanted,
      1e-5,
      name,
    );
  }
}

/** generate, scoreMemorization and sweep are other ways to the same. */
async function everyCallAgrees(t: Test, model: Model, rows: number[][], means: BypassMeans) {
  const over = cases.map((one) => bypassOf(one, means));
  const prefixLength = 5;
  const swept = await model.sweep({ samples: rows, prefixLength, over });
  for (const [index, bypass] of over.entries()) {
    const name = JSON.stringify(cases[index]);
    const alone = await model.scoreMemorization(rows, { prefixLength, bypass });
    const generations = await model.generate(
      rows.map((row) => row.slice(0, prefixLength)),
      { maxNewTokens: 7, stopAtEndOfText: false, bypass },
    );
    const accuracy = generations.map(
      ({ tokens }, row) => tokens.filter((token, at) => token === rows[row]?.[prefixLength + at]).length / 7,
    );
    t.same(
      alone.perRow.map(({ tokenAccuracy }) => tokenAccuracy),
      accuracy,
      `${name}: generated`,
    );
    const together = swept.variants[index]?.memorization;
    t.same(
      together?.perRow.map(({ tokenAccuracy }) => tokenAccuracy),
      accuracy,
      `${name}: swept`,
    );
    const likelihood = (perRow: readonly { suffixLogLikelihood: number }[] = []) =>
      perRow.map(({ suffixLogLikelihood }) => suffixLogLikelihood);
    close(t, likelihood(together?.perRow), likelihood(alone.perRow), 1e-5, `${name}: log-likelihood`);
  }
  t.same(swept.variants[1]?.heads, { 1: [1, 3], 2: [0, 1, 2, 3] });
  t.equal(swept.variants[1]?.name, "block 1 heads 1, 3; block 2 heads 0, 1, 2, 3");
  t.notMatch(JSON.stringify(swept.settings), /"means":\{/, "means are told by their hashes");
  t.equal(swept.settings.means?.length, 5);
  t.match(swept.variants[7], { name: "block 1 MLP", kind: "block", part: "mlp", blocks: [1], mode: "zero" });
  t.match(swept.variants[11], { name: "blocks 0, 1, 2 attention and MLP", kind: "set", part: "both" });
}

t.test("random sets: as many different ones as asked for, the same for the same seed", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  const samples = [randomTokens(12, model.config.vocabularySize)];
  const random = async (random: RandomSets) => {
    const { variants } = await model.sweep({ samples, prefixLength: 5, over: { random } });
    return variants;
  };
  const all = await random({ size: 2, count: 3 });
  t.same(all.map(({ blocks }) => blocks.join()).sort(), ["0,1", "0,2", "1,2"]);
  t.same(all, await random({ size: 2, count: 3, seed: 0 }), "the seed is 0 by default");
  t.same((await random({ size: 2, count: 2 }))[1], all[1], "more sets begin with the same sets");
  t.match((await random({ size: 1, count: 1 }))[0], { name: /^random block \d$/, kind: "random", part: "attention" });
  t.equal((await random({ size: 3, count: 1, seed: 5 }))[0]?.name, "random blocks 0, 1, 2");
  await model.dispose();
});

t.test("over heads: each head of each block", async (t) => {
  const model = await loadModel(fixture("neo-types"), here);
  const samples = [randomTokens(12, model.config.vocabularySize)];
  const { means } = await model.attention(samples);
  const { variants } = await model.sweep({ samples, prefixLength: 5, over: "heads", mode: ["zero", "mean"], means });
  const { blockCount, headCount } = model.config;
  t.equal(variants.length, 2 * blockCount * headCount);
  t.match(variants[5], { name: "block 1 head 1", kind: "head", part: "attention" });
  t.equal(variants.at(-1)?.mode, "mean");
  await model.dispose();
});

t.test("over parts: each bypass with each part, and heads once", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  const samples = [randomTokens(12, model.config.vocabularySize)];
  const over = ["blocks", { heads: { 0: [1] } }, { blocks: { quartile: 4 }, part: "attention" }] as const;
  const { variants } = await model.sweep({ samples, prefixLength: 5, over, part: ["attention", "mlp", "both"] });
  t.same(
    variants.map(({ name, part }) => [name, part]),
    [
      ...[0, 1, 2].map((block) => [`block ${block}`, "attention"]),
      ["block 0 head 1", "attention"],
      ["quartile 4", "attention"],
      ...[0, 1, 2].map((block) => [`block ${block} MLP`, "mlp"]),
      ...[0, 1, 2].map((block) => [`block ${block} attention and MLP`, "both"]),
    ],
  );
  for (const { blocks, heads, part, memorization } of variants) {
    const bypass = { ...(heads ? { heads } : { blocks, part }) };
    const alone = await model.scoreMemorization(samples, { prefixLength: 5, bypass });
    const [together, separate] = [memorization?.perRow[0], alone.perRow[0]];
    t.equal(together?.tokenAccuracy, separate?.tokenAccuracy);
    close(t, [together?.suffixLogLikelihood ?? 0], [separate?.suffixLogLikelihood ?? 0], 1e-5, JSON.stringify(bypass));
  }
  await model.dispose();
});

t.test("what bypasses can't be", async (t) => {
  const model = await loadModel(fixture("neo-types"), here);
  const refused = (code: ErrorCode, bypass: unknown, ...said: string[]) =>
    refuses(t, JSON.stringify(bypass), () => model.logits([1, 2], { bypass: bypass as Bypass }), code, ...said);
  await refused("INVALID_ARGUMENT", {}, "blocks or heads");
  await refused("INVALID_ARGUMENT", { heads: [[1]] }, "heads");
  await refused("INVALID_ARGUMENT", { heads: { 0: 1 } }, "heads");
  await refused("BLOCK_OUT_OF_RANGE", { heads: { 3: [0] } }, "bypass.heads", "3");
  await refused("INVALID_ARGUMENT", { heads: { first: [0] } }, "bypass.heads", '"first"');
  await refused("HEAD_OUT_OF_RANGE", { heads: { 1: [4] } }, "bypass.heads[1]", "0 to 3", "4");
  await refused("HEAD_OUT_OF_RANGE", { heads: { 1: [0.5] } }, "0.5");
  await refused("HEAD_DUPLICATE", { heads: { 1: [2, 2] } }, "2 twice");
  await refused("BLOCK_DUPLICATE", { blocks: [1], heads: { 1: [2] } }, "1 twice");
  await refused("INVALID_ARGUMENT", { blocks: [1], part: "all" }, "bypass.part", '"both"');
  await refused(
    "INVALID_ARGUMENT",
    { blocks: [1], part: "mlp", mode: "short-circuit" },
    "bypass.mode",
    "only attention",
  );
  await refused("INVALID_ARGUMENT", { blocks: [1], part: "both", mode: "short-circuit" }, "bypass.mode");
  await refused("INVALID_ARGUMENT", { heads: { 1: [0] }, part: "mlp" }, "bypass.part", "heads");
  const attentionOnly = { blocks: [0, 1, 2].map(() => new Float32Array(32)) };
  const mlpMean = { blocks: [1], part: "mlp", mode: "mean", means: attentionOnly };
  await refused("INVALID_ARGUMENT", mlpMean, "means.mlps");
  await refused("INVALID_ARGUMENT", { blocks: [1], mode: "mean" }, "means");
  await refused("INVALID_ARGUMENT", { blocks: [1], mode: "mean", means: { blocks: [[1]] } }, "3 rows of 32 numbers");
  const strange = [0, 1, 2].map(() => new Float32Array(32).fill(Number.NaN));
  await refused("INVALID_ARGUMENT", { blocks: [1], mode: "mean", means: { blocks: strange } }, "finite");
  await model.dispose();
});
