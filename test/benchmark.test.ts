// Benchmarks: the lm-evaluation-harness's own scores on the same rows, formats as published, and what can't be read.
import { readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { benchmarkNames, type ErrorCode, loadModel, type Model, type TaskScores } from "attention-bypass";
import t, { type Test } from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { randomTokens } from "./support/random-model.ts";
import { refuses } from "./support/refusals.ts";
import { shared, skipReason } from "./support/shared.ts";
import { characters67, writeByteTokenizer } from "./support/tokenizers.ts";

t.setTimeout(1_200_000);
const root = path.join(import.meta.dirname, "..");
const here = { device: "cpu", threads: 1 } as const;

interface HarnessScores {
  acc: number;
  acc_stderr: number;
  acc_norm?: number;
  acc_norm_stderr?: number;
  perplexity?: number;
  perplexity_stderr?: number;
}

/** Made by test/reference/harness.py. */
const harness: { limit: number; scores: Record<string, Record<string, HarnessScores>> } = JSON.parse(
  readFileSync(path.join(import.meta.dirname, "reference", "harness.json"), "utf8"),
);

const tokenizers: Record<string, string> = { "pythia-study": "gpt-neox-20b.tokenizer.json", "gpt-neo-study": "gpt2" };

function agrees(t: Test, ours: TaskScores, theirs: HarnessScores, name: string) {
  t.equal(ours.questions, harness.limit, name);
  const equal = (found: number | undefined, wanted: number | undefined, what: string) => {
    t.equal(found === undefined, wanted === undefined, `${name}: ${what} or not`);
    if (found !== undefined && wanted !== undefined) {
      t.ok(Math.abs(found - wanted) < 1e-12, `${name}: ${what} ${found} for ${wanted}`);
    }
  };
  equal(ours.accuracy, theirs.acc, "acc");
  equal(ours.standardErrors.accuracy, theirs.acc_stderr, "acc_stderr");
  equal(ours.normalizedAccuracy, theirs.acc_norm, "acc_norm");
  equal(ours.standardErrors.normalizedAccuracy, theirs.acc_norm_stderr, "acc_norm_stderr");
  t.equal(ours.perplexity === undefined, theirs.perplexity === undefined);
  if (ours.perplexity === undefined || theirs.perplexity === undefined) return;
  t.ok(Math.abs(ours.perplexity / theirs.perplexity - 1) <= 1e-3, `${name}: perplexity ${ours.perplexity}`);
  // Theirs is of resamples, so that it only comes near.
  const error = (ours.standardErrors.perplexity ?? 0) / (theirs.perplexity_stderr ?? 0);
  t.ok(error > 0.5 && error < 2, `${name}: standard error of the perplexity, ${error} of theirs`);
}

const jsonLines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

interface TaskRow {
  choices?: string[] | { text: string[] };
  sol1?: string;
  sol2?: string;
  label?: number;
}

/** A folder with the rows that the harness had: the first whose choices are short. */
async function rowsOfHarness(t: Test, data: string): Promise<string> {
  const folder = await temporaryFolder(t);
  const labels = readFileSync(path.join(data, "piqa.valid-labels.lst"), "utf8").trim().split("\n");
  for (const file of readdirSync(data).filter((name) => name.endsWith(".jsonl"))) {
    const rows = readFileSync(path.join(data, file), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as TaskRow);
    const short = rows
      .map((row, index) => (row.sol1 === undefined ? row : { ...row, label: Number(labels[index]) }))
      .filter(({ choices = [], sol1 = "", sol2 = "" }) =>
        [...(Array.isArray(choices) ? choices : choices.text), sol1, sol2].every((choice) => [...choice].length <= 200),
      );
    await writeFile(path.join(folder, file), jsonLines(short.slice(0, harness.limit)));
  }
  return folder;
}

for (const [name, tasks] of Object.entries(harness.scores)) {
  const place = shared("data", "tasks");
  t.test(`${name}: the harness's scores`, { skip: place === undefined && skipReason }, async (t) => {
    const data = await rowsOfHarness(t, place as string);
    const tokenizer = tokenizers[name];
    const folder = tokenizer === undefined ? path.join(root, "models", name) : (shared("study", name) as string);
    const model = await loadModel(folder, {
      ...here,
      ...(tokenizer !== undefined && { tokenizer: shared("data", "tokenizers", tokenizer) as string }),
    });
    const result = await model.benchmark(benchmarkNames, { data });
    t.same(Object.keys(result), benchmarkNames);
    for (const task of benchmarkNames) agrees(t, result[task] as TaskScores, tasks[task] as HarnessScores, task);
    await model.dispose();
  });
}

/** A model of the fixtures that reads text. */
async function reader(t: Test): Promise<Model> {
  const tokenizer = await temporaryFolder(t);
  await writeByteTokenizer(tokenizer, characters67);
  const model = await loadModel(fixture("neo-types"), { ...here, tokenizer });
  t.teardown(() => model.dispose());
  return model;
}

t.test("the questions of a task share what they begin with, and score what they score alone", async (t) => {
  const model = await loadModel(fixture("neo-types"), here);
  t.teardown(() => model.dispose());
  const tokens = (length: number, seed: number) => randomTokens(length, model.config.vocabularySize, seed);
  const questions = Array.from({ length: 9 }, (_, index) => {
    const query = tokens(3 + index, index);
    // Some begin alike beyond the query, one is the beginning of another, lengths differ.
    const beginning = tokens(index % 3, 50 + index);
    const choices = [1, 2, 4].map((length) => [...beginning, ...tokens(length, 100 + length)]);
    return { query, choices: [...choices, [...(choices[0] as number[]), 5, 6]], gold: index % 4 };
  });
  for (const bypass of [undefined, { blocks: [1] }, { blocks: [2], mode: "short-circuit" as const }]) {
    const options = bypass ? { bypass } : {};
    const { own } = await model.benchmark({ name: "own", questions }, options);
    for (const [index, { query, choices, gold }] of questions.entries()) {
      const alone: number[] = [];
      for (const choice of choices) {
        const rows = [{ prefix: query, suffix: choice }];
        alone.push((await model.scoreMemorization(rows, options)).suffixLogLikelihood);
      }
      const answer = own?.perQuestion[index];
      const off = Math.max(...alone.map((value, at) => Math.abs(value - (answer?.logLikelihoods[at] as number))));
      t.ok(off < 1e-4, `question ${index}: ${off}`);
      t.equal(answer?.chosen, alone.indexOf(Math.max(...alone)));
      t.equal(answer?.correct, answer?.chosen === gold);
    }
    t.equal(own?.accuracy, (own?.perQuestion.filter(({ correct }) => correct).length ?? 0) / 9);
    t.equal(own?.normalizedAccuracy, undefined, "tokens have no characters");
    const swept = await model.sweep({ tasks: [{ name: "own", questions }], over: [{ blocks: [1] }], memory: 1 });
    const { perQuestion = [] } = (bypass ? swept.variants[0]?.tasks?.own : swept.base.tasks?.own) ?? {};
    if (bypass?.mode === undefined) {
      t.same(
        perQuestion.map(({ chosen }) => chosen),
        own?.perQuestion.map(({ chosen }) => chosen),
        "swept",
      );
    }
  }
});

t.test("a question with more answers than go together", async (t) => {
  const model = await loadModel(fixture("neo-types"), here);
  t.teardown(() => model.dispose());
  const { vocabularySize } = model.config;
  const query = randomTokens(5, vocabularySize, 1);
  const choices = Array.from({ length: 3000 }, (_, index) => randomTokens(4, vocabularySize, 10 + index));
  const before = process.resourceUsage().maxRSS;
  const { many } = await model.benchmark({ name: "many", questions: [{ query, choices, gold: 0 }] });
  // In one group, 12,000 tokens have 576 MB of attention scores for each head.
  t.ok(process.resourceUsage().maxRSS - before < 2 ** 19, "less than 512 MiB");
  const rows = choices.map((suffix) => ({ prefix: query, suffix }));
  const { perRow } = await model.scoreMemorization(rows);
  const off = perRow.map(({ suffixLogLikelihood }, at) =>
    Math.abs(suffixLogLikelihood - (many?.perQuestion[0]?.logLikelihoods[at] as number)),
  );
  t.equal(off.length, 3000);
  t.ok(
    off.every((difference) => difference < 1e-4),
    "as alone",
  );
});

t.test("formats as published", async (t) => {
  const model = await reader(t);
  const data = await temporaryFolder(t);
  const write = (file: string, rows: readonly object[]) => writeFile(path.join(data, file), jsonLines(rows));
  /** Made by test/fixtures/generate_parquet.py. */
  const parquet = (name: string) => path.join(import.meta.dirname, "fixtures", "parquet", `${name}.parquet`);
  await mkdir(path.join(data, "hellaswag", "data"), { recursive: true });

  await t.test("HellaSwag, Parquet with its brackets and normalized", async (t) => {
    const place = path.join(data, "hellaswag", "data", "validation-00000-of-00001.parquet");
    await cp(parquet("hellaswag"), place);
    const published = await model.benchmark("hellaswag", { data });
    await write("hellaswag.val.jsonl", [
      { query: "Roofing: He is up The man", choices: ["goes home", "sits"], gold: 1 },
      { query: "Baking: A cook bakes She. then", choices: ["eats", " sleeps"], gold: 0 },
    ]);
    const normalized = await model.benchmark("hellaswag", { data });
    t.equal(published.hellaswag?.questions, 2);
    t.same(published, normalized);
  });

  await t.test("PIQA, labels beside and labels within", async (t) => {
    const rows = [
      { goal: "To sit", sol1: "Stand", sol2: "Sit down" },
      { goal: "To run", sol1: "Run", sol2: "Walk" },
    ];
    await write("valid.jsonl", rows);
    await writeFile(path.join(data, "valid-labels.lst"), "1\n0\n");
    const beside = await model.benchmark("piqa", { data });
    await write(
      "piqa.valid.jsonl",
      rows.map((row, index) => ({ ...row, label: 1 - index })),
    );
    t.same(await model.benchmark("piqa", { data }), beside);
    await writeFile(path.join(data, "valid-labels.lst"), "1\n");
    await refuses(
      t,
      "a label too few",
      () => model.benchmark("piqa", { data: path.join(data, "valid.jsonl") }),
      "TASK_INVALID",
      "valid-labels.lst",
      "2",
      "1",
    );
  });

  await t.test("PIQA, Parquet with 64-bit numbers", async (t) => {
    const lines = await model.benchmark("piqa", { data });
    t.same(await model.benchmark("piqa", { data: parquet("piqa") }), lines);
  });
});

t.test("a definition of one's own", async (t) => {
  const model = await reader(t);
  const data = await temporaryFolder(t);
  const definition = path.join(data, "opposites.json");
  const rows = [
    { word: "warm", answers: ["cold", "hot", "tea"], right: "a" },
    { word: "up", answers: ["over", "down", "sky"], right: "b" },
  ];
  await writeFile(path.join(data, "opposites.jsonl"), jsonLines(rows));
  const form = {
    context: "The opposite of {{ word }} is",
    choices: "answers",
    gold: "{{ right }}",
    labels: ["a", "b", "c"],
  };
  await writeFile(definition, JSON.stringify({ name: "opposites", rows: ["opposites.jsonl"], forms: [form] }));
  const { opposites } = await model.benchmark({ definition, data });
  const questions = rows.map(({ word, answers }, gold) => ({
    query: `The opposite of ${word} is`,
    choices: answers,
    gold,
  }));
  const { same } = await model.benchmark({ name: "same", questions });
  t.same(opposites, same);
  t.type(opposites?.normalizedAccuracy, "number");
  const { accuracy, standardErrors, perQuestion } = opposites as TaskScores;
  const deviations = perQuestion.map(({ correct }) => (Number(correct) - accuracy) ** 2);
  t.equal(standardErrors.accuracy, Math.sqrt((deviations[0] as number) + (deviations[1] as number)) / Math.sqrt(2));

  const [first] = (await model.benchmark([definition], { data, rows: 1 })).opposites?.perQuestion ?? [];
  t.same([first?.chosen, first?.correct], [perQuestion[0]?.chosen, perQuestion[0]?.correct]);
  const off = first?.logLikelihoods.map((value, choice) => value - (perQuestion[0]?.logLikelihoods[choice] as number));
  t.ok(
    off?.every((difference) => Math.abs(difference) < 1e-5),
    "the first question alone",
  );
});

t.test("what is longer than the context loses its beginning, as in the harness", async (t) => {
  const model = await reader(t);
  const { contextLength } = model.config;
  const long = "abcdefghij".repeat(20);
  const { long: scores } = await model.benchmark({
    name: "long",
    questions: [{ query: long, choices: ["aa", "b"], gold: 0 }],
  });
  t.equal(scores?.truncated, 2);
  const [aa] = scores?.perQuestion[0]?.logLikelihoods ?? [];
  // The last token needs no place in the context: that many tokens are before the three of " aa".
  const kept = model.tokenizer?.encode(`${long} aa`).slice(-(contextLength + 1)) as number[];
  const { data } = await model.logits(kept.slice(0, -1));
  let expected = 0;
  for (const [back, token] of kept.slice(-3).entries()) {
    const position = kept.length - 1 - 3 + back;
    const logits = data.slice(position * 67, (position + 1) * 67);
    const total = logits.reduce((sum, value) => sum + Math.exp(value), 0);
    expected += (logits[token] as number) - Math.log(total);
  }
  t.ok(Math.abs((aa ?? 0) - expected) < 1e-4, `${aa} for ${expected}`);
});

t.test("what can't be read", async (t) => {
  const model = await reader(t);
  const data = await temporaryFolder(t);
  const file = path.join(data, "rows.jsonl");
  const refused = async (code: ErrorCode, definition: object | string, ...said: string[]) => {
    const place = path.join(data, "definition.json");
    await writeFile(place, typeof definition === "string" ? definition : JSON.stringify(definition));
    await refuses(
      t,
      JSON.stringify(definition),
      () => model.benchmark({ definition: place, data: file }),
      code,
      ...said,
    );
  };
  const good = { name: "x", rows: ["rows.jsonl"], forms: [{ context: "{{ a }}", choices: "b", gold: "{{ c }}" }] };
  await writeFile(file, jsonLines([{ a: "to", b: ["x", "y"], c: 1 }]));
  await refused("TASK_INVALID", "{", "definition.json");
  await refused("TASK_INVALID", { ...good, forms: [] }, "forms");
  await refused("TASK_INVALID", { ...good, color: 1 }, "color");
  await refused("TASK_INVALID", { ...good, forms: [{ context: "a", choices: "b" }] }, "gold");
  await refused("TASK_INVALID", { ...good, forms: [{ ...good.forms[0], needs: ["z"] }] }, "z", "rows.jsonl");
  await refused("TASK_INVALID", { ...good, forms: [{ ...good.forms[0], choices: "z" }] }, "row 1", "z");
  await refused("TASK_INVALID", { ...good, forms: [{ ...good.forms[0], gold: "7" }] }, "row 1", "7");
  await refused("TASK_INVALID", { ...good, forms: [{ ...good.forms[0], context: "{{ a" }] }, "row 1");
  await writeFile(file, "[1]\n");
  await refused("TASK_INVALID", good, "line 1", "rows.jsonl");
  await writeFile(file, "");
  await refused("TASK_INVALID", good, "found none");

  const call = (code: ErrorCode, work: () => Promise<unknown>, ...said: string[]) =>
    refuses(t, said.join(" "), work, code, ...said);
  await call("FILE_NOT_FOUND", () => model.benchmark("piqa", { data }), "piqa.valid.jsonl");
  await call("FILE_NOT_FOUND", () => model.benchmark("piqa", { data: path.join(data, "no") }), "piqa");
  await call("FILE_NOT_FOUND", () => model.benchmark("poetry", { data }), "poetry", "arc_easy");
  await call("INVALID_ARGUMENT", () => model.benchmark("piqa"), "options.data", "piqa");
  await call("INVALID_ARGUMENT", () => model.benchmark([]), "at least one task");
  const own = { name: "own", questions: [{ query: "a", choices: ["b", "c"], gold: 0 }] };
  await call("INVALID_ARGUMENT", () => model.benchmark([own, own]), "tasks with different names");
  await writeFile(path.join(data, "rows.parquet"), "nothing");
  const parquet = () => model.benchmark("piqa", { data: path.join(data, "rows.parquet") });
  await call("TASK_INVALID", parquet, "rows.parquet");
  const endless = { name: "own", questions: [{ query: "a", choices: ["b".repeat(100), "c"], gold: 0 }] };
  await call("CONTEXT_TOO_LONG", () => model.benchmark(endless), "question 0 of the task own");
});

t.test("text needs a tokenizer", async (t) => {
  const folder = await temporaryFolder(t);
  await cp(fixture("neo-types"), folder, { recursive: true });
  const model = await loadModel(folder, here);
  const questions = [{ query: "a", choices: ["b", "c"], gold: 0 }];
  await refuses(t, "text", () => model.benchmark({ name: "own", questions }), "TOKENIZER_MISSING", "question 0");
  await model.dispose();
});
