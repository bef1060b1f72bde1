// The report of a sweep over training: what it draws, what it says, and how it marks revisions with the same weights.
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { type AnyRevisionsResult, createTrainingReport, drawFigure, type Report } from "attention-bypass";
import t from "tap";
import { matches } from "../lib/revisions/pattern.ts";
import { trainingStep } from "../lib/revisions/training-step.ts";
import { attentionBypass, succeed } from "./support/command-line.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { type Counts, madeUpSweep } from "./support/made-up-sweep.ts";
import { expected, measures, series, steps } from "./support/training-series.ts";

t.setTimeout(300_000);

/** Revisions of which the unmodified model, and with block 0 and block 1 bypassed, matches and answers so many of 100. */
function madeUp(curve: Record<string, [base: Counts, first: Counts, second: Counts] | string>): AnyRevisionsResult {
  const revisions = Object.entries(curve).map(([name, counts]) => {
    const step = trainingStep(name);
    const identity = { name, ...(step !== undefined && { step }), weights: [{ path: "w", size: 1, hash: name }] };
    if (typeof counts === "string") return { ...identity, sameWeightsAs: counts };
    const [base, ...blocks] = counts;
    return { ...identity, sweep: madeUpSweep(base, blocks) };
  });
  return { format: "attention-bypass revisions, 1", model: "tests/model", revisions } as unknown as AnyRevisionsResult;
}

const curve = madeUp({
  step0: [
    [0, 25],
    [0, 24],
    [0, 26],
  ],
  step10: [
    [10, 40],
    [5, 30],
    [0, 35],
  ],
  step1000: [
    [60, 80],
    [20, 50],
    [30, 75],
  ],
  step2000: "step1000",
  step100000: [
    [90, 85],
    [40, 60],
    [50, 80],
  ],
  main: "step100000",
});

/** A value that a mark draws. */
interface Drawn {
  at: number;
  bypass: string;
  value: number;
  low: number;
  high: number;
}

interface Layer {
  data: { values: Drawn[] };
  encoding: { text?: { field: string } };
}

/** The layers of a panel of the figure of the curves. */
function layers({ figures }: Report, panel: number): [Layer, Layer, Layer, Layer] {
  const spec = figures.find(({ name }) => name === "over-training")?.spec as {
    vconcat: { layer: [Layer, Layer, Layer, Layer] }[];
  };
  return spec.vconcat[panel]?.layer as [Layer, Layer, Layer, Layer];
}

t.test("steps in names, and patterns", async (t) => {
  for (const [name, step] of [
    ["step1000", 1000],
    ["step0", 0],
    ["global_step143000", 143_000],
    ["checkpoint-500", 500],
    ["stage1-step1000-tokens4B", 1000],
    ["iter_0001000", 1000],
    ["main", undefined],
    ["v1.0", undefined],
    ["3a6c0d1b9f4e7a2c5d8e0f1a2b3c4d5e6f7a8b9c", undefined],
  ] as const) {
    t.equal(trainingStep(name), step, name);
  }
  // Regular expressions are a second way to match.
  const names = [...steps, "step1000", "step11000", "step", "astep0", "a.b", "axb", "ab", "aab", "aba"];
  for (const pattern of ["step*000", "*", "step*", "*0", "s*p*0", "a*b", "a.b", "ab", "a*a", "*a*b*", "**", "ab*ba"]) {
    const escaped = pattern.replace(/[.]/g, "\\$&").replaceAll("*", ".*");
    const wanted = names.filter((name) => new RegExp(`^${escaped}$`).test(name));
    t.same(
      names.filter((name) => matches(pattern, name)),
      wanted,
      pattern,
    );
  }
});

t.test("figures: the curves with intervals, step 0, and doubled revisions", async (t) => {
  const report = createTrainingReport(curve);
  t.same(
    report.figures.map(({ name }) => name),
    ["over-training"],
    "one task needs no figure of tasks",
  );
  const [rule, label, band, line] = layers(report, 0);
  const drawn = line.data.values.map(({ at, bypass, value }) => [at, bypass, value]);
  const zero = drawn[0]?.[0] as number;
  t.ok(zero > 0 && zero < 10, "step 0 is left of the first step on the logarithmic axis");
  t.same(drawn, [
    [zero, "no bypass", 0],
    [zero, "block 0", 0],
    [zero, "block 1", 0],
    [10, "no bypass", 0.1],
    [10, "block 0", 0.05],
    [10, "block 1", 0],
    [1000, "no bypass", 0.6],
    [1000, "block 0", 0.2],
    [1000, "block 1", 0.3],
    [100_000, "no bypass", 0.9],
    [100_000, "block 0", 0.4],
    [100_000, "block 1", 0.5],
  ]);
  for (const { value, low, high } of band.data.values) {
    // The normal approximation is a second way to compute an interval of a share of 100.
    const error = 1.96 * Math.sqrt((value * (1 - value)) / 100);
    t.ok(Math.abs(low - (value - error)) < 0.03 && Math.abs(high - (value + error)) < 0.03, `interval of ${value}`);
  }
  t.same(rule.data.values, [{ at: 2000, text: "step2000: weights of step1000" }], "the doubled revision is marked");
  t.equal(label.encoding.text?.field, "text");
  const accuracy = layers(report, 1).at(-1);
  t.equal(accuracy?.data.values.find(({ at, bypass }) => at === 1000 && bypass === "block 1")?.value, 0.75);
  t.match(
    report.figures[0]?.caption,
    /Step 0, before the training, .*Dotted lines are revisions with the weight files/,
  );
  const svg = await drawFigure(report.figures[0] as Report["figures"][number], "svg");
  for (const text of ["training step", "exact match", "accuracy, quiz", "no bypass", "100,000", "step2000: weights"]) {
    t.ok(svg.includes(text), text);
  }
  t.equal(svg.match(/>no bypass</g)?.length, 1, "there is one legend");
  t.match(svg, /stroke="#999999"[^>]* stroke-dasharray="4,3"/, "chance is drawn");
});

t.test("sentences and the table", async (t) => {
  const { findings, tables, title, settings } = createTrainingReport(curve, { name: "pythia" });
  t.equal(title, "Memorization and ability over the training of pythia");
  t.match(
    findings[0],
    /^Without a bypass, exact match is 0 % \[0, 0\] and accuracy is 25 % .* at step 0, and .* at step 100,000\.$/,
  );
  t.match(findings[1], /^With block 0 bypassed, /);
  t.match(findings, [
    /./,
    /./,
    /./,
    /^step2000 has the same weight files as step1000/,
    /^main has the same/,
    /^Figures omit main,/,
  ]);
  const [table] = tables;
  t.same(table?.head.slice(0, 5), ["revision", "step", "bypass", "mode", "exact match"]);
  t.equal(table?.rows.length, 4 * 3 + 2);
  t.same(table?.rows[9]?.slice(0, 3), ["step2000", "2,000", "same weights as step1000"]);
  t.ok(table?.rows.every((row) => row.length === table.head.length));
  t.match(settings, { pythia: { revisions: [{ name: "step0" }, {}, {}, { sameWeightsAs: "step1000" }, {}, {}] } });
});

t.test("many bypasses are a heat map, and near steps are on a linear axis", async (t) => {
  const many = Array.from({ length: 9 }, (): Counts => [5, 50]);
  const sweeps = [100, 200].map((step) => ({
    name: `step${step}`,
    step,
    weights: [],
    sweep: madeUpSweep([10, 60], many),
  }));
  const result = { ...curve, revisions: sweeps } as unknown as AnyRevisionsResult;
  const report = createTrainingReport(result);
  t.same(
    report.figures.map(({ name }) => name),
    ["over-training", "bypasses-over-training"],
  );
  t.match(report.figures[0]?.caption, /Another figure shows the 9 bypasses/);
  const line = layers(report, 0).at(-1);
  t.same(
    line?.data.values.map(({ at }) => at),
    [100, 200],
  );
  for (const figure of report.figures) t.ok((await drawFigure(figure, "svg")).includes("training step"));
});

t.test("what is no result of sweepRevisions", async (t) => {
  const refused = (value: object, message: RegExp, code = "SWEEP_INVALID") =>
    t.throws(() => createTrainingReport(value as AnyRevisionsResult), { code, message });
  refused({}, /format is missing/);
  refused({ ...curve, format: "attention-bypass revisions, 9" }, /format is/);
  refused({ ...curve, revisions: [] }, /no revision has a sweep/);
  refused(
    madeUp({
      step0: [
        [0, 1],
        [0, 1],
        [0, 1],
      ],
      step1: "step7",
    }),
    /step1 has neither a sweep nor/,
  );
  const [one] = madeUp({
    step5: [
      [0, 1],
      [0, 1],
      [0, 1],
    ],
  }).revisions;
  const deeper = { ...one, name: "step6", sweep: madeUpSweep([0, 1], [[0, 1]]) };
  refused({ ...curve, revisions: [one, deeper] }, /architecture of step6/, "REVISIONS_DIFFER");
});

t.test("the command line", async (t) => {
  const folder = await temporaryFolder(t);
  const models = path.join(folder, "models");
  await mkdir(models);
  for (const name of ["step0", "step640"]) await symlink(path.join(series, name), path.join(models, name));
  await symlink(path.join(series, "step640"), path.join(models, "step700"));
  const output = path.join(folder, "training.json");
  const report = path.join(folder, "training.md");
  const [{ questions = "" } = {}] = measures.tasks;
  const common = ["sweep", models, "--revisions", "step*", "--samples", measures.samples, "--device", "cpu"];
  const args = [...common, "--task", `causes=${questions}`, "--bypass", "3", "--metrics", "exactMatch"];
  const { exitCode, errors } = await attentionBypass(
    ...args,
    "--output",
    output,
    "--report",
    report,
    "--resume",
    path.join(folder, "resume"),
  );
  t.same([exitCode, errors], [0, ""]);
  const result = JSON.parse(await readFile(output, "utf8"));
  t.match(result.revisions, [{ step: 0 }, { step: 640 }, { step: 700, sameWeightsAs: "step640" }]);
  const share = (expected.step640?.secrets ?? 0) / 24;
  t.equal(result.revisions[1].sweep.base.memorization.exactMatch, share);
  const written = await readFile(report, "utf8");
  t.match(written, /step700 has the same weight files as step640/);
  t.ok(written.includes("training-over-training.svg"));

  const again = path.join(folder, "again.md");
  await succeed(t, "report", output, "--name", "models", "--output", again);
  t.equal(
    (await readFile(again, "utf8")).replaceAll("again-", "training-"),
    written.replaceAll(`"${models}"`, '"models"'),
    "the report of the file is that of the sweep",
  );
  const csv = await succeed(t, ...args, "--csv", "--resume", path.join(folder, "resume"));
  const lines = csv.trim().split("\n");
  t.equal(lines[0], "revision,step,name,part,blocks,mode,exactMatch,causes,same weights as");
  t.same(
    lines.slice(1).map((line) => line.split(",").slice(0, 3).join(" ")),
    ["step0 0 base", "step0 0 block 3", "step640 640 base", "step640 640 block 3", "step700 700 "],
  );
  t.match(lines.at(-1), /,step640$/);

  await writeFile(path.join(folder, "one.json"), JSON.stringify(result.revisions[0].sweep));
  const refusals: [string[], RegExp][] = [
    [["sweep", models, "--samples", measures.samples, "--keep"], /expected --revisions with --keep/],
    [[...common, "--revision", "main"], /expected --revision or --revisions/],
    [[...common, "--revisions", "epoch*"], /a pattern of these revisions: .* for --revisions/],
    [["report", output, "--compare", path.join(folder, "one.json")], /omit --compare/],
  ];
  for (const [args, message] of refusals) {
    const { exitCode, errors } = await attentionBypass(...args);
    t.equal(exitCode, 2);
    t.match(errors, message);
  }
});
