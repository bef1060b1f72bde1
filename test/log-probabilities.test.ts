// Log-probabilities of rows and of generated tokens: those of Hugging Face's logits, together as alone.
import path from "node:path";
import { type Bypass, loadModel, type TokenLogProbability } from "attention-bypass";
import t, { type Test } from "tap";
import { fixture, readExpected, readFloats, temporaryFolder } from "./support/fixtures.ts";
import { randomTokens } from "./support/random-model.ts";
import { all, refuses } from "./support/refusals.ts";
import { writeTinyModel } from "./support/tiny-model.ts";

const here = { device: "cpu", threads: 1 } as const;
const tolerance = 2e-4;

/** The log-probabilities of logits, in float64. */
function logSoftmax(logits: Float32Array): number[] {
  const values = Array.from(logits);
  const highest = Math.max(...values);
  const total = Math.log(values.reduce((sum, value) => sum + Math.exp(value - highest), 0));
  return values.map((value) => value - highest - total);
}

/** The most probable tokens, those of equal probability by id. */
function ranked(logProbabilities: readonly number[], count: number): TokenLogProbability[] {
  return logProbabilities
    .map((logProbability, token) => ({ token, logProbability }))
    .sort((a, b) => b.logProbability - a.logProbability || a.token - b.token)
    .slice(0, count);
}

function near(t: Test, found: number | null | undefined, wanted: number, what: string): void {
  if (typeof found !== "number" || Math.abs(found - wanted) > tolerance) t.fail(`${what}: ${found} for ${wanted}`);
}

function sameRanks(t: Test, found: TokenLogProbability[] | undefined, wanted: TokenLogProbability[], what: string) {
  t.equal(found?.length, wanted.length, what);
  for (const [rank, { token, logProbability }] of (found ?? []).entries()) {
    near(t, logProbability, wanted[rank]?.logProbability as number, `${what}, rank ${rank}`);
    near(t, logProbability, wanted.find((one) => one.token === token)?.logProbability ?? logProbability, what);
  }
}

for (const name of ["neox-serial", "neo-types", "gpt2"]) {
  t.test(`${name}: Hugging Face's`, async (t) => {
    const folder = fixture(name);
    const { cases, input_ids } = readExpected(folder);
    const model = await loadModel(folder, here);
    t.teardown(() => model.dispose());
    for (const { tag, blocks, mode, logits: file, logits_shape } of cases.filter(({ blocks }) => blocks.length < 2)) {
      const [, length, vocabulary] = logits_shape;
      const logits = readFloats(path.join(folder, file));
      const bypass: Bypass | undefined = blocks.length > 0 ? { blocks, mode } : undefined;
      const options = bypass ? { bypass } : {};
      for (const top of [0, 1, 5]) {
        const rows = await model.logProbabilities(input_ids, { ...options, topLogProbabilities: top });
        for (const [number, row] of input_ids.entries()) {
          const result = rows[number];
          t.same(result?.tokens, row);
          t.equal(result?.logProbabilities[0], null);
          t.equal(result?.topLogProbabilities?.length, top === 0 ? undefined : length);
          for (let position = 0; position < length; position++) {
            const begin = (number * length + position) * vocabulary;
            const expected = logSoftmax(logits.slice(begin, begin + vocabulary));
            const what = `${tag}, top ${top}, row ${number}, position ${position}`;
            if (position === length - 1) {
              sameRanks(t, result?.next, ranked(expected, Math.max(1, top)), what);
              continue;
            }
            near(t, result?.logProbabilities[position + 1], expected[row[position + 1] as number] as number, what);
            if (top > 0) sameRanks(t, result?.topLogProbabilities?.[position + 1], ranked(expected, top), what);
          }
        }
      }
    }
  });
}

t.test("with generated tokens", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  t.teardown(() => model.dispose());
  const prompts = [randomTokens(5, 67, 1), randomTokens(9, 67, 2)];
  const options = { maxNewTokens: 6, stopAtEndOfText: false, temperature: 0.8, seed: [3, 4] };
  const [plain, generated] = await Promise.all([
    model.generate(prompts, options),
    model.generate(prompts, { ...options, topLogProbabilities: 4 }),
  ]);
  for (const [row, { tokens, topLogProbabilities }] of generated.entries()) {
    t.same(tokens, plain[row]?.tokens, "which it does not change");
    t.notOk("topLogProbabilities" in (plain[row] ?? {}));
    const { data } = await model.logits([...(prompts[row] as number[]), ...tokens]);
    for (const [index, top] of (topLogProbabilities ?? []).entries()) {
      const begin = ((prompts[row] as number[]).length - 1 + index) * 67;
      sameRanks(t, top, ranked(logSoftmax(data.slice(begin, begin + 67)), 4), `row ${row}, token ${index}`);
    }
    t.equal(topLogProbabilities?.length, tokens.length);
  }
  const pieces = [];
  for await (const piece of model.stream(prompts[0] as number[], { ...options, seed: 3, topLogProbabilities: 4 })) {
    pieces.push(piece);
  }
  t.same(
    pieces.map(({ topLogProbabilities }) => topLogProbabilities?.map(({ token }) => token)),
    generated[0]?.topLogProbabilities?.map((top) => top.map(({ token }) => token)),
  );
  t.same(
    pieces.map(({ finishReason }) => finishReason),
    [undefined, undefined, undefined, undefined, undefined, "length"],
  );
});

t.test("many calls are scored together, each as alone, and leave when they are aborted", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  t.teardown(() => model.dispose());
  const bypasses: (Bypass | undefined)[] = [undefined, { blocks: [0] }, { blocks: [1], mode: "short-circuit" }];
  const calls = Array.from({ length: 60 }, (_, index) => ({
    row: randomTokens(1 + ((index * 7) % 31), 67, index),
    options: {
      topLogProbabilities: index % 2 === 0 ? 1 : 3,
      ...(bypasses[index % 3] && { bypass: bypasses[index % 3] as Bypass }),
    },
  }));
  const alone = [];
  for (const { row, options } of calls) alone.push(await model.logProbabilities(row, options));
  const leaving = new AbortController();
  const left = calls.map(({ row, options }) => model.logProbabilities(row, { ...options, signal: leaving.signal }));
  const together = calls.map(({ row, options }) => model.logProbabilities(row, options));
  leaving.abort(new Error("left"));
  for (const { status } of await Promise.allSettled(left)) t.equal(status, "rejected");
  for (const [index, result] of (await Promise.all(together)).entries()) {
    const expected = alone[index];
    t.same(result.tokens, expected?.tokens);
    for (const [place, value] of result.logProbabilities.entries()) {
      if (place > 0) near(t, value, expected?.logProbabilities[place] as number, `call ${index}`);
    }
    t.same(result.next[0]?.token, expected?.next[0]?.token);
  }
});

t.test("a row whose scores are not finite fails alone", async (t) => {
  const folder = await temporaryFolder(t);
  const shape = { blocks: 1, heads: 1, width: 8, intermediate: 16, vocabulary: 16, activation: "gelu", epsilon: 1e-5 };
  await writeTinyModel(folder, { family: "gpt-neox", ...shape, parallel: true, bias: true }, (part, [, width = 1]) => {
    if (part.endsWith("norm.scale")) return () => 1;
    // Token 7 is not a number.
    return (index) =>
      part === "embedding" && Math.floor(index / width) === 7 ? Number.NaN : Math.sin(index * 1.7 + part.length) / 4;
  });
  const model = await loadModel(folder, { ...here, allowNonFinite: true });
  t.teardown(() => model.dispose());
  const rows = [
    [1, 2, 3],
    [4, 7, 3],
    [5, 6, 2],
  ];
  const results = await Promise.allSettled(rows.map((row) => model.logProbabilities(row)));
  t.same(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  await refuses(t, "it", () => model.logProbabilities(rows[1] as number[]), "NOT_FINITE");
});

t.test("what is refused", async (t) => {
  const model = await loadModel(fixture("neox-serial"), here);
  t.teardown(() => model.dispose());
  const { contextLength, vocabularySize } = model.config;
  const refused = (options: object, ...said: string[]) =>
    refuses(t, said.join(), () => model.logProbabilities([1, 2], options), "INVALID_ARGUMENT", ...said);
  for (const wrong of [-1, 1.5, vocabularySize + 1, Number.NaN, "1"]) {
    await refused({ topLogProbabilities: wrong }, "topLogProbabilities");
    await refuses(
      t,
      "generate",
      () => model.generate([1, 2], { topLogProbabilities: wrong as number }),
      "INVALID_ARGUMENT",
      "topLogProbabilities",
    );
    await refuses(
      t,
      "stream",
      () => all({ [Symbol.asyncIterator]: () => model.stream([1], { topLogProbabilities: wrong as number }) }),
      "INVALID_ARGUMENT",
    );
  }
  await refused({ top: 1 }, "top");
  await refuses(
    t,
    "long",
    () => model.logProbabilities(new Array<number>(contextLength + 1).fill(1)),
    "CONTEXT_TOO_LONG",
  );
  await refuses(t, "ids", () => model.logProbabilities([vocabularySize]), "TOKEN_OUT_OF_RANGE");
  await refuses(t, "nothing", () => model.logProbabilities([]), "INVALID_ARGUMENT");
  await refuses(t, "text", () => model.logProbabilities("a"), "TOKENIZER_MISSING");
  const full = await model.logProbabilities(new Array<number>(contextLength).fill(1), {
    topLogProbabilities: vocabularySize,
  });
  t.equal(full.next.length, vocabularySize, "a full context has a next token");
  const total = full.next.reduce((sum, { logProbability }) => sum + Math.exp(logProbability), 0);
  t.ok(Math.abs(total - 1) < 1e-4, `${total}`);
});
