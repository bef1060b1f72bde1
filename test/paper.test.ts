// The paper's experiment on several models: its sweeps, how it continues, and what its report says and does not say.
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  AttentionBypassError,
  createPaperReport,
  loadModel,
  type PaperOptions,
  type PaperResult,
  reproducePaper,
  type SweepResult,
} from "attention-bypass";
import t, { type Test } from "tap";
import type { ModelConfig } from "../lib/families/model-config.ts";
import { parameterCount } from "../lib/families/parameter-count.ts";
import { publishedModels, publishedWithShape } from "../lib/paper/published.ts";
import { attentionBypass, succeed } from "./support/command-line.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { type MadeUpModel, madeUpPaper } from "./support/made-up-paper.ts";
import { series } from "./support/training-series.ts";

t.setTimeout(300_000);

/** Two families without tokenizers, which have samples of their own, as models with several tokenizers have. */
const neox = { model: fixture("neox-serial"), samples: [[1, 2, 3, 4, 5]], control: [[9, 8, 7, 6]] };
const neo = {
  model: fixture("neo-types"),
  name: "neo",
  samples: [{ prefix: [3, 4], suffix: [5] }],
  control: [{ prefix: [6, 4], suffix: [5] }],
};
const question = { query: [1, 2], choices: [[3], [4]], gold: 0 };
const options = {
  models: [neox, neo],
  prefixLength: 2,
  tasks: [{ name: "guess", questions: [question, { ...question, gold: 1 }] }],
  device: "cpu",
  threads: 1,
} satisfies PaperOptions;
const metrics = [
  "exactMatch",
  "tokenAccuracy",
  "completionEntropy",
  "teacherForcedAccuracy",
  "suffixLogLikelihood",
] as const;

async function refuses(t: Test, work: Promise<unknown>, code: string, message: RegExp) {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  t.ok(error instanceof AttentionBypassError, "it is refused");
  t.match(error, { code, message });
}

/** A sweep without what changes from call to call. */
const numbers = ({ base, variants }: Pick<SweepResult, "base" | "variants">) => ({ base, variants });

t.test("each model's sweep is that of separate calls", async (t) => {
  const progress: number[] = [];
  const result = await reproducePaper({
    ...options,
    randomSets: 1,
    onProgress: (fraction) => progress.push(fraction),
  });
  t.same(
    result.models.map(({ name, model }) => [name, model]),
    [
      ["neox-serial", neox.model],
      ["neo", neo.model],
    ],
  );
  t.equal(progress.at(-1), 1);
  t.ok(
    progress.some((fraction) => fraction > 0.1 && fraction < 0.5),
    "progress is that of all models",
  );
  for (const [index, { model: reference, samples, control }] of [neox, neo].entries()) {
    const sweep = result.models[index]?.sweep as unknown as SweepResult;
    await using model = await loadModel(reference, { device: "cpu", threads: 1 });
    const common = { samples, control, prefixLength: 2, tasks: options.tasks, metrics };
    const attention = await model.sweep({
      ...common,
      over: ["blocks", "quartiles", { random: { size: 1, count: 1 } }],
      mode: ["short-circuit", "zero"],
    });
    const mlps = await model.sweep({ ...common, over: ["blocks", "quartiles"], part: "mlp" });
    const swept = numbers(sweep).variants;
    t.equal(swept.length, attention.variants.length + mlps.variants.length);
    t.ok(isDeepStrictEqual(sweep.base, attention.base), "the unmodified model");
    for (const wanted of [...attention.variants, ...mlps.variants]) {
      const found = swept.find(({ name, mode }) => name === wanted.name && mode === wanted.mode);
      t.match(found, { kind: wanted.kind, part: wanted.part, blocks: wanted.blocks });
      const [one, other] = [found, wanted].map((variant) => variant?.memorization?.suffixLogLikelihood as number);
      t.ok(Math.abs((one as number) - (other as number)) < 1e-4, `log-likelihood with ${wanted.name}, ${wanted.mode}`);
      t.same(found?.memorization?.exactMatch, wanted.memorization?.exactMatch);
      t.same(found?.tasks?.guess?.accuracy, wanted.tasks?.guess?.accuracy);
    }
  }
  // The published sizes are those of the models' authors.
  t.equal(result.models[0]?.parameters, parameterCount(result.models[0]?.sweep.settings.model.config as ModelConfig));
  createPaperReport(result);
});

t.test("the number of parameters, and the models of the paper by their sizes", async (t) => {
  const counts: Record<string, number> = {
    "GPT-Neo 1.3B": 1_315_575_808,
    "Pythia 1.4B": 1_414_647_808,
    "Pythia 2.8B": 2_775_208_960,
    "Pythia 6.9B": 6_857_302_016,
    "Pythia 12B": 11_846_072_320,
  };
  for (const { name, shape } of publishedModels) {
    const tiedEmbedding = shape.family === "gpt-neo";
    const config = { ...shape, contextLength: 2048, tiedEmbedding, attentionBias: !tiedEmbedding } as ModelConfig;
    t.equal(parameterCount(config), counts[name], name);
    t.equal(publishedWithShape(config)?.name, name);
    t.equal(publishedWithShape({ ...config, vocabularySize: config.vocabularySize + 1 }), undefined);
    t.equal(publishedWithShape({ ...config, headCount: 2 * config.headCount }), undefined);
  }
  const gpt2 = { family: "gpt2", blockCount: 12, hiddenSize: 768, intermediateSize: 3072, vocabularySize: 50257 };
  const more = { contextLength: 1024, tiedEmbedding: true, attentionBias: true };
  t.equal(parameterCount({ ...gpt2, ...more } as ModelConfig), 124_439_808);
});

t.test("an aborted call continues in its folder", async (t) => {
  const folder = await temporaryFolder(t);
  const copy = path.join(folder, "copy");
  cpSync(neox.model, copy, { recursive: true });
  const resume = path.join(folder, "resume");
  const own = { ...options, models: [{ ...neox, model: copy }, neo], resume };
  const controller = new AbortController();
  const reason = new Error("enough");
  const onProgress = (fraction: number) => {
    if (fraction > 0.5) controller.abort(reason);
  };
  await t.rejects(reproducePaper({ ...own, signal: controller.signal, onProgress }), reason);
  const finished = () => readdirSync(resume).filter((name) => /^[0-9a-f]{16}\.json$/.test(name));
  t.equal(finished().length, 1, "the first model is finished");
  const [first = ""] = finished();
  // What is read from the folder is not measured again.
  const saved = JSON.parse(readFileSync(path.join(resume, first), "utf8"));
  saved.cost.seconds = 12_345;
  writeFileSync(path.join(resume, first), JSON.stringify(saved));
  const result = await reproducePaper(own);
  t.equal(result.models[0]?.sweep.cost.seconds, 12_345);
  const plain = await reproducePaper(options);
  for (const index of [0, 1]) {
    const [one, other] = [result, plain].map(({ models }) => numbers(models[index]?.sweep as unknown as SweepResult));
    t.ok(isDeepStrictEqual(JSON.parse(JSON.stringify(one)), JSON.parse(JSON.stringify(other))), "the same numbers");
  }
  const third = await reproducePaper({ ...own, models: [...own.models, { ...neo, name: "again", model: neo.model }] });
  t.equal(third.models.length, 3, "other models may be added");
  await refuses(t, reproducePaper({ ...own, rows: 1 }), "RESUME_FILE_MISMATCH", /these differ: rows/);
  const weights = path.join(copy, "model.safetensors");
  const bytes = readFileSync(weights);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 4) ^ 1, bytes.length - 4);
  writeFileSync(weights, bytes);
  await refuses(t, reproducePaper(own), "RESUME_FILE_MISMATCH", /model copy: expected the weights of .* to be those/);
});

t.test("missing files and wrong options are errors before a model is loaded", async (t) => {
  const fixtureFile = path.join(neox.model, "config.json");
  const wrong: [object, string, RegExp][] = [
    [{ models: [] }, "INVALID_ARGUMENT", /at least one model for options\.models/],
    [{ models: [5] }, "INVALID_ARGUMENT", /options\.models\.0/],
    [{ models: [{ ...neox, tokens: 1 }] }, "INVALID_ARGUMENT", /options\.models\.0\.tokens/],
    [{ models: [neox.model] }, "INVALID_ARGUMENT", /samples for .*neox-serial for options\.samples/],
    [{ models: [neox, neox] }, "INVALID_ARGUMENT", /models with different names for options\.models\[1\]\.name/],
    [{ mode: "mean" }, "INVALID_ARGUMENT", /options\.mode/],
    [{ tasks: [] }, "INVALID_ARGUMENT", /options\.tasks/],
    [{ tasks: undefined }, "INVALID_ARGUMENT", /rows of arc_easy for options\.data/],
    [{ tasks: ["piqa"], data: "nowhere" }, "FILE_NOT_FOUND", /rows of piqa but nowhere does not exist/],
    [{ tasks: ["nothing"], data: "." }, "FILE_NOT_FOUND", /a task among/],
    [{ tasks: [{ name: "x", questions: "nowhere.jsonl" }] }, "FILE_NOT_FOUND", /nowhere\.jsonl/],
    [{ models: ["nowhere"], samples: [[1, 2]] }, "FILE_NOT_FOUND", /nowhere/],
    [{ models: [{ ...neox, samples: "nowhere.npy" }] }, "FILE_NOT_FOUND", /nowhere\.npy/],
    [{ models: [{ ...neox, control: { prefixes: "a.npy", suffixes: "b.npy" } }] }, "FILE_NOT_FOUND", /a\.npy/],
    [{ models: [{ ...neox, samples: { prefixes: fixtureFile, suffixes: "b.npy" } }] }, "FILE_NOT_FOUND", /b\.npy/],
    [{ models: [{ ...neox, samples: [] }] }, "INVALID_ARGUMENT", /model neox-serial: expected at least one row/],
  ];
  for (const [change, code, message] of wrong) {
    await refuses(t, reproducePaper({ ...options, ...change } as PaperOptions), code, message);
  }
  const report = (value: unknown) => () => createPaperReport(value as PaperResult);
  const result = madeUpPaper({ name: "a" }, { name: "b" });
  const [a, b] = result.models;
  for (const [value, message] of [
    [{}, /format is missing/],
    [{ ...result, models: [] }, /at least one model/],
    [{ ...result, models: [a, a] }, /models with different names/],
    [{ ...result, models: [{ ...a, parameters: 0.5 }] }, /parameters is 0\.5/],
    [{ ...result, models: [{ ...a, sweep: {} }] }, /the model a of the result/],
    [madeUpPaper({ name: "a" }, { name: "b", task: ["other"] }), /the model b has other tasks than a/],
    [
      { ...result, models: [a, { ...b, sweep: { ...b?.sweep, base: { tasks: b?.sweep.base.tasks } } }] },
      /another|exact match/,
    ],
  ] as const) {
    t.throws(report(value), { code: "SWEEP_INVALID", message });
  }
});

const verdicts = (...models: MadeUpModel[]) => {
  const [table] = createPaperReport(madeUpPaper(...models)).tables;
  // Without a mode, in all modes in the order of the columns.
  return (text: RegExp, mode?: "short-circuit" | "zero") =>
    (table?.rows ?? [])
      .filter(([claim = ""]) => text.test(claim))
      .flatMap((row) => row.filter((_, column) => column > 1 && (mode === undefined || table?.head[column] === mode)));
};

t.test("claims that hold, that do not hold, and that are undecided", async (t) => {
  const settings = [
    ["attention", "short-circuit"],
    ["attention", "zero"],
    ["mlp", "zero"],
  ] as const;
  const paper = verdicts({ name: "m", settings });
  t.same(paper(/deep attention carries/), ["holds", "holds"], "in both modes");
  t.same(paper(/early attention/, "short-circuit"), ["holds"]);
  t.same(paper(/costs less ability/), ["–", "holds"], "MLPs have no short-circuit");
  t.same(paper(/larger/), [], "one model has no scale");
  const none = verdicts({ name: "m", last: [75, 80], first: [0, 84], lastMlps: [5, 84] });
  t.same(none(/deep attention carries/, "zero"), ["does not hold"]);
  t.same(none(/costs less ability/), ["does not hold"]);
  const costly = verdicts({ name: "m", last: [5, 30], first: [0, 84] });
  t.same(costly(/deep attention carries/, "zero"), ["does not hold"]);
  t.same(costly(/early attention/, "zero"), ["does not hold"]);
  const near = verdicts({ name: "m", last: [40, 80], first: [0, 78], lastMlps: [44, 82] });
  t.same(near(/deep attention carries/, "zero"), ["undecided"]);
  t.same(near(/early attention/, "zero"), ["undecided"]);
  t.same(near(/costs less ability/), ["undecided"]);
  const unlearned = verdicts({ name: "m", base: [0, 85], last: [0, 80] });
  t.same(unlearned(/deep attention carries/, "zero"), ["not measured"]);
  const guessing = verdicts({ name: "m", base: [80, 25], last: [5, 25] });
  t.same(guessing(/early attention/, "zero"), ["not measured"]);

  const sentence = (...models: MadeUpModel[]) => createPaperReport(madeUpPaper(...models)).findings;
  t.match(
    sentence({ name: "m", settings })[1],
    /^The paper finds that deep attention carries memorization\. Here, with attention short-circuited in the last quarter of the blocks, this holds for m \(13 % \[[\d., ]+\] of the memorization and 92 % \[[\d., ]+\] of the ability remain\)\. The criterion/,
  );
  t.match(
    sentence({ name: "a" }, { name: "b", last: [75, 80] }, { name: "c", last: [40, 80] })[1],
    /this holds for a; it does not hold for b; it is undecided for c\./,
  );
  t.match(
    sentence({ name: "m", base: [0, 85] })[1],
    /this was not measured for m \(the unmodified model matches none of 100 samples\)/,
  );
});

t.test("memorized rows next to control rows", async (t) => {
  // Teacher-forced accuracy falls by (80 - 10) / 2 points on memorized rows, and by half of the control's difference.
  const falls = (last: number) => verdicts({ name: "m", control: [80, last] })(/control rows/, "zero");
  t.same(falls(80), ["holds"]);
  t.same(falls(12), ["undecided"]);
  t.same(verdicts({ name: "m", last: [70, 80], control: [80, 10] })(/control rows/, "zero"), ["does not hold"]);
  const { figures, findings } = createPaperReport(madeUpPaper({ name: "m", control: [80, 80] }));
  t.ok(figures.some(({ name }) => name === "control"));
  t.match(
    findings.join(" "),
    /the drop in teacher-forced accuracy is 35\.0 points \[.*\] on memorized rows and 0\.0 points \[0\.0, 0\.0\] on control rows/,
  );
});

t.test("the size of the models", async (t) => {
  const models = (late: number): MadeUpModel[] => [
    { name: "large", parameters: 3e9, late: [late, 84] },
    { name: "small", parameters: 1e9, late: [20, 84] },
  ];
  t.same(verdicts(...models(70))(/larger/, "zero"), ["holds"]);
  t.same(verdicts(...models(22))(/larger/, "zero"), ["undecided"]);
  t.same(verdicts(...models(0))(/larger/, "zero"), ["does not hold"]);
  const other: MadeUpModel = { name: "neo", parameters: 2e9, config: { family: "gpt-neo" } };
  t.same(verdicts({ name: "m" }, other)(/larger/), [], "families are not compared");
  const { figures } = createPaperReport(madeUpPaper(...models(70)));
  const scale = figures.find(({ name }) => name === "scale");
  t.match(JSON.stringify(scale?.spec), /"parameters":3000000000/);
  const { figures: ofOne } = createPaperReport(madeUpPaper({ name: "m" }));
  t.same(
    ofOne.map(({ name }) => name),
    ["by-block", "by-quartile", "entropy"],
  );
});

t.test("the late block is chosen on one half of the rows and measured on the other", async (t) => {
  const result = madeUpPaper({ name: "m", late: [80, 85] });
  const late = result.models[0]?.sweep.variants.filter(
    ({ kind, part, mode, blocks }) => kind === "block" && part === "attention" && mode === "zero" && blocks[0] === 6,
  );
  // Block 6 removes all of the rows with even numbers, and nothing of the others.
  for (const [index, row] of (late?.[0]?.memorization?.perRow ?? []).entries()) if (index % 2 === 0) row.exactMatch = 0;
  const table = createPaperReport(result).tables.find(({ title }) => title === "What remains");
  const row = table?.rows.find(([, setting, bypass]) => setting === "attention zeroed" && /^block/.test(bypass ?? ""));
  t.equal(row?.[2], "block 6, chosen on half the rows");
  t.match(row?.[3], /^100 % /);
});

t.test("the paper's numbers only next to models of its shapes, on samples of its form", async (t) => {
  const shape = (name: string) => publishedModels.find((one) => one.name === name)?.shape as object;
  const five = ["arc_easy", "hellaswag", "lambada_openai", "piqa", "winogrande"];
  const reportOf = (model: Partial<MadeUpModel>) => {
    const settings = [["attention", "short-circuit"]] as const;
    const given = { name: "m", task: five, settings, single: [0, 21, 23], ...model };
    const { tables, findings, figures } = createPaperReport(madeUpPaper(given));
    const published = tables.find(({ title }) => title.startsWith("Published and measured"))?.rows ?? [];
    return { published, words: findings.join(" "), figures };
  };
  const named = reportOf({ name: "pythia-1.4b", single: [0, 7] });
  t.same(named.published, [], "a name is not enough");
  t.notMatch(named.words, /shape of/);

  const config = shape("Pythia 1.4B");
  const pythia = reportOf({ config, base: [82, 71] });
  t.same(pythia.published[0]?.slice(0, 5), ["m", "Pythia 1.4B", "exact match", "none", "0.829"]);
  t.equal(pythia.published[0]?.[6], "yes");
  t.match(pythia.published[1], [
    "m",
    "Pythia 1.4B",
    "exact match",
    /^one late block/,
    "0.31 to 0.74",
    "0.40 to 0.40",
    "–",
  ]);
  t.same(pythia.published[2]?.slice(2, 5), ["mean accuracy", "none", "0.708"]);
  t.match(pythia.words, /m has the shape of Pythia 1\.4B: 2 of 2 .* Shapes are compared, not weights\./);
  const quiz = reportOf({ config, base: [30, 30], task: ["quiz"] });
  t.equal(quiz.published[0]?.[6], "no");
  t.match(quiz.words, /Accuracy is not compared, because/);
  t.notMatch(JSON.stringify(quiz.published), /accuracy/);

  const neo = shape("GPT-Neo 1.3B");
  const same = reportOf({ config: neo, prefixLength: 50 });
  const blocks = same.published.filter(([, , quantity]) => quantity === "exact match");
  t.match(blocks.at(-1), ["m", "GPT-Neo 1.3B", "exact match", "block 23 (the paper's 24)", "0.740"]);
  t.match(JSON.stringify(same.figures[0]), /"shape":"diamond"/);
  for (const other of [{ suffixTokens: 48 }, { prefixLength: 32 }]) {
    const { published, words } = reportOf({ config: neo, ...other });
    t.match(words, /Exact match is not compared, because the paper's samples have 50 tokens/);
    t.notMatch(JSON.stringify(published), /exact match/);
    t.match(JSON.stringify(published), /accuracy/);
  }
});

t.test("the command line", async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => path.join(folder, name);
  const model = path.join(series, "step640");
  const args = ["paper", model, path.join(series, "step40"), "--samples", path.join(series, "secrets.jsonl")];
  const common = [
    ...[
      ...args,
      "--control",
      path.join(series, "control.jsonl"),
      "--task",
      `causes=${path.join(series, "causes.jsonl")}`,
    ],
    ...["--rows", "8", "--mode", "short-circuit", "--device", "cpu", "--resume", at("resume")],
  ];
  t.equal(await succeed(t, ...common, "--output", at("paper.json"), "--report", at("paper.md")), "");
  const result = JSON.parse(readFileSync(at("paper.json"), "utf8")) as PaperResult;
  t.same(
    result.models.map(({ name, sweep }) => [name, sweep.base.memorization?.rows, sweep.settings.mode]),
    [
      ["step640", 8, ["short-circuit"]],
      ["step40", 8, ["short-circuit"]],
    ],
  );
  const markdown = readFileSync(at("paper.md"), "utf8");
  t.match(markdown, /^# Memorization and attention in step640 and step40\n/);
  t.ok(existsSync(at("paper-by-block.svg")) && !existsSync(at("paper-scale.svg")) === false);
  await succeed(t, "report", at("paper.json"), "--output", at("again.md"));
  t.equal(readFileSync(at("again.md"), "utf8").replaceAll("again-", "paper-"), markdown, "the report of the file");
  const lines = (await succeed(t, ...common, "--csv")).trim().split("\n");
  t.match(lines[0], /^model,parameters,name,part,blocks,mode,exactMatch,tokenAccuracy,completionEntropy,/);
  // Base, and for four blocks: attention of blocks and quarters, and MLPs of both.
  t.equal(lines.length, 1 + 2 * (1 + 8 + 8));

  const refusals: [string[], RegExp][] = [
    [["paper", model], /expected --samples but it is not given/],
    [args, /expected the folder or file with the rows of arc_easy for --data but it is not given/],
    [
      ["paper", model, model, model, "--samples", "a", "--samples", "b"],
      /--samples once for all models or once for each of 3 but received it 2 times/,
    ],
    [["paper", model, "--samples", "a,b,c"], /PREFIXES,SUFFIXES/],
    [[...args, "--prefix-length", "1", "--prefix-length", "2", "--prefix-length", "3"], /--prefix-length once/],
    [[...args, "--output", path.join(series, "secrets.jsonl"), "--json"], /another file for --output/],
    [["report", at("paper.json"), "--name", "x"], /omit --name/],
    [["report", at("paper.json"), "--compare", at("paper.json")], /that of paper; omit --compare/],
  ];
  for (const [args, message] of refusals) {
    const { exitCode, errors } = await attentionBypass(...args);
    t.equal(exitCode, 2);
    t.match(errors, message);
  }
});
