// Results are plain data, and read well where they are inspected.
import { inspect } from "node:util";
import { createReport, loadModel, type Question } from "attention-bypass";
import t, { type Test } from "tap";
import { fixture } from "./support/fixtures.ts";
import { randomTokens } from "./support/random-model.ts";

const model = await loadModel(fixture("neox-serial"), { device: "cpu" });
t.teardown(() => model.dispose());
const { blockCount, vocabularySize, headCount } = model.config;
const samples = [1, 2, 3].map((seed) => randomTokens(8, vocabularySize, seed));

function isPlain(t: Test, result: object): void {
  t.same(JSON.parse(JSON.stringify(result)), structuredClone(result), "plain data");
  t.same(Object.getOwnPropertySymbols({ ...result }), [], "a copy has no text");
}

t.test("memorization", async (t) => {
  const result = await model.scoreMemorization(samples, {
    prefixLength: 4,
    metrics: ["exactMatch", "completionEntropy"],
  });
  const lines = inspect(result).split("\n");
  t.equal(lines.length, 3);
  t.match(lines[0], /^metric +mean of 3 rows$/);
  t.match(lines[1], /^exactMatch +[01]/);
  t.match(lines[2], new RegExp(`^completionEntropy +${result.completionEntropy.toPrecision(6)}$`));
  isPlain(t, result);
});

t.test("a sweep and its report", async (t) => {
  const result = await model.sweep({
    samples,
    prefixLength: 4,
    metrics: ["exactMatch"],
    mode: ["zero", "short-circuit"],
  });
  const lines = inspect(result).split("\n");
  t.match(lines[0], /^name +blocks +mode +exactMatch$/);
  t.match(lines[1], /^base /);
  t.equal(lines.length, 1 + 1 + 2 * blockCount + 2);
  t.match(lines.at(-1), /^[\d.]+ s, .* operations$/);
  isPlain(t, result);

  const text = inspect(createReport(result, { name: "Serial" }));
  t.match(text, /^How bypasses change memorization and ability in Serial\n/);
  t.match(text, /\nfigures: .*\ntables: /);
});

t.test("attention and divergence", async (t) => {
  const survey = inspect(await model.attention(samples)).split("\n");
  t.equal(survey.length, 1 + blockCount + 2);
  t.match(survey[1], new RegExp(`^block 0( +[\\d.]+ %){${1 + headCount}}$`));
  const divergence = inspect(await model.divergence(samples[0] as number[], { bypass: { blocks: [0] } })).split("\n");
  t.equal(divergence.length, 1 + blockCount + 2);
  t.match(divergence.at(-1), /^KL divergence of the next token: /);
});

t.test("a benchmark", async (t) => {
  const first: Question = { query: [1, 2], choices: [[3], [4]], gold: 0 };
  const second = { ...first, gold: 1 };
  const text = inspect(await model.benchmark({ name: "recall", questions: [first, second] }));
  t.match(text, /^task +metric +value +standard error\nrecall +accuracy +0\.5\d* +± 0\.5\d*$/);
  // A single question has no standard error.
  const single = inspect(await model.benchmark({ name: "recall", questions: [first] }));
  t.match(single, /^task +metric +value +standard error\nrecall +accuracy +[01]$/);
});
