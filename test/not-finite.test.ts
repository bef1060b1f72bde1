// A number that is none is never a finding: NaN and infinity end a call with NOT_FINITE, and no result holds one.
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import {
  createReport,
  type Dtype,
  loadModel,
  type Model,
  recommend,
  type SweepResult,
  samplesToExtract,
} from "attention-bypass";
import t from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { madeUpSweep } from "./support/made-up-sweep.ts";
import { randomNumbers } from "./support/random-model.ts";
import { type Anything, all, refuses } from "./support/refusals.ts";
import { shared, skipReason } from "./support/shared.ts";
import { writeTinyModel } from "./support/tiny-model.ts";

t.setTimeout(300_000);

const rows = [
  [1, 2, 3, 4, 5, 6, 7, 8],
  [8, 7, 6, 5, 4, 3, 2, 1],
];
const questions = [{ query: [1, 2], choices: [[3], [4]], gold: 0 }];

const calls: Record<string, (model: Model) => Promise<unknown>> = {
  logits: (model) => model.logits(rows),
  generate: (model) => model.generate(rows, { maxNewTokens: 2 }),
  stream: (model) => all(model.stream([1, 2, 3], { maxNewTokens: 2 })),
  perplexity: (model) => model.perplexity([1, 2, 3, 4]),
  scoreMemorization: (model) => model.scoreMemorization(rows, { prefixLength: 4 }),
  sweep: (model) => model.sweep({ samples: rows, prefixLength: 4 }),
  effects: (model) => model.effects(rows, { prefixLength: 4 }),
  benchmark: (model) => model.benchmark({ name: "own", questions }),
  attention: (model) => model.attention(rows),
};

/** Where a value holds a number that is not finite, or null. */
function strange(value: unknown, place = ""): string[] {
  if (typeof value === "number") return Number.isFinite(value) ? [] : [place];
  if (value === null) return [place];
  if (typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, member]) => strange(member, `${place}.${key}`));
}

const overflowing = shared("bugs", "12-nan", "neox-large");
const load = (dtype: Dtype) => loadModel(overflowing as string, { device: "cpu", threads: 1, dtype });

t.test("a model that overflows float16", { skip: overflowing === undefined && skipReason }, async (t) => {
  await using model = await load("float16");
  const narrow = !model.deviceReason.includes("computes in float32");
  for (const [name, call] of Object.entries(calls)) {
    if (narrow) await refuses(t, name, () => call(model), "NOT_FINITE", "float16", "bfloat16", "float32");
    // A processor that is slow in float16 computes in float32, which has the range.
    else t.same(strange(await call(model)), [], name);
  }
  t.same(strange(await model.divergence([1, 2, 3], { bypass: { blocks: [0] } })), [], "divergence is in float64");
});

t.test("a model that overflows float32", async (t) => {
  const folder = await temporaryFolder(t);
  const shape = { blocks: 2, heads: 2, width: 8, intermediate: 16, vocabulary: 12, activation: "gelu" } as const;
  const tiny = { ...shape, family: "gpt-neox", parallel: true, bias: true, epsilon: 1e-5 } as const;
  await writeTinyModel(folder, tiny, (part) => {
    const draw = randomNumbers(part.length);
    const size = part === "widen" || part === "narrow" ? 1e25 : 1;
    return () => size * draw();
  });
  for (const dtype of ["float32", "bfloat16"] as const) {
    await using model = await loadModel(folder, { device: "cpu", threads: 1, dtype });
    for (const [name, call] of Object.entries(calls)) await refuses(t, name, () => call(model), "NOT_FINITE", dtype);
  }
});

for (const dtype of ["float32", "bfloat16"] as const) {
  t.test(`the same model in ${dtype}`, { skip: overflowing === undefined && skipReason }, async (t) => {
    await using model = await load(dtype);
    for (const [name, call] of Object.entries(calls)) t.same(strange(await call(model)), [], name);
  });
}

t.test("a single question has no standard error", async (t) => {
  await using model = await loadModel(fixture("neox-serial"), { device: "cpu", threads: 1 });
  const { own } = await model.benchmark({ name: "own", questions });
  t.same(own?.standardErrors, {});
  t.same(strange(own), []);
});

t.test("a sweep that holds no number is refused, with the place", async (t) => {
  const good = () => structuredClone(madeUpSweep([80, 90], [[20, 80]])) as SweepResult;
  const spoil = (change: (sweep: Anything) => void) => {
    const sweep = good();
    change(sweep);
    return sweep;
  };
  for (const value of [null, Number.NaN, Number.POSITIVE_INFINITY]) {
    const sweeps: Record<string, SweepResult> = {
      "base.memorization.exactMatch": spoil((sweep) => {
        sweep.base.memorization.exactMatch = value;
      }),
      "variants[0].memorization.perRow[3].exactMatch": spoil((sweep) => {
        sweep.variants[0].memorization.perRow[3].exactMatch = value;
      }),
      "variants[0].tasks.quiz.standardErrors.accuracy": spoil((sweep) => {
        sweep.variants[0].tasks.quiz.standardErrors.accuracy = value;
      }),
    };
    for (const [place, sweep] of Object.entries(sweeps)) {
      await refuses(t, "recommend", async () => recommend(sweep), "SWEEP_INVALID", place);
      await refuses(t, "createReport", async () => createReport(sweep), "SWEEP_INVALID", place);
      const compare = { name: "other", sweep };
      await refuses(t, "compare", async () => createReport(good(), { compare }), "SWEEP_INVALID", place);
    }
  }
  t.ok(createReport(good()), "the same without it is taken");
});

t.test("a resume file that holds no number is refused, with the line", async (t) => {
  await using model = await loadModel(fixture("neox-serial"), { device: "cpu", threads: 1 });
  const file = path.join(await temporaryFolder(t), "resume");
  const options = { samples: rows, prefixLength: 4, over: [{ blocks: [0] }], resume: file };
  await model.sweep(options);
  const [header, part] = (await readFile(file, "utf8")).split("\n") as [string, string];
  const spoiled = JSON.parse(part);
  const numbers = Buffer.from(spoiled.scores, "base64");
  numbers.writeDoubleLE(Number.NaN, 8 * 3);
  await writeFile(file, `${header}\n${JSON.stringify({ ...spoiled, scores: numbers.toString("base64") })}\n`);
  await refuses(t, "NaN", () => model.sweep(options), "RESUME_FILE_INVALID", file, "line 2");
});

t.test("samplesToExtract may be infinite, as documented", async (t) => {
  t.equal(samplesToExtract(0, 0.5), Number.POSITIVE_INFINITY);
});
