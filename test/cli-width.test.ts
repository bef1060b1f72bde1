// What the command line prints fits 80 columns: every help, and a table of each kind.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { recommend, type SweepResult } from "attention-bypass";
import t from "tap";
import { benchmarkText } from "../lib/benchmark/text.ts";
import { table, wrap } from "../lib/display/text-form.ts";
import { attentionText } from "../lib/measure/text.ts";
import { memorizationText } from "../lib/metrics/text.ts";
import { paperText } from "../lib/paper/text.ts";
import { recommendationText } from "../lib/recommend/text.ts";
import { sweepText } from "../lib/sweep/text.ts";
import { runCommand } from "./support/child.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { madeUpPaper } from "./support/made-up-paper.ts";
import { madeUpSweep } from "./support/made-up-sweep.ts";

const program = path.join(import.meta.dirname, "..", "dist", "cli.js");
const commands = [
  "generate",
  "perplexity",
  "memorization",
  "benchmark",
  "scan",
  "sweep",
  "effects",
  "report",
  "recommend",
  "serve",
];
const { COLUMNS: _, ...environment } = process.env;

const widest = (text: string) => Math.max(...text.split("\n").map(({ length }) => length));

t.test("help", async (t) => {
  for (const args of [[], ...[...commands, "convert", "download", "setup", "doctor"].map((name) => [name])]) {
    const { stdout } = await runCommand([process.execPath, program, ...args, "--help"], { env: environment });
    t.ok(stdout.length > 500, args.join());
    for (const line of stdout.split("\n").filter(({ length }) => length > 80)) t.fail(`${args.join()}: ${line}`);
  }
  const sweep = [process.execPath, program, "sweep", "--help"];
  const wide = await runCommand(sweep, { env: { ...environment, COLUMNS: "140" } });
  t.ok(widest(wide.stdout) > 100 && widest(wide.stdout) <= 140, `${widest(wide.stdout)} of 140 columns`);
});

t.test("a table in parts", async (t) => {
  const rows = [
    ["name", "mode", "aaaa", "bbbb", "cccc"],
    ["block 0", "zero", "1", "2", "3"],
  ];
  t.equal(table(rows, 2, 80), "name     mode  aaaa  bbbb  cccc\nblock 0  zero     1     2     3\n");
  t.equal(
    table(rows, 2, 27),
    "name     mode  aaaa  bbbb\nblock 0  zero     1     2\n\nname     mode  cccc\nblock 0  zero     3\n",
  );
  t.equal(table([["a".repeat(90), "5"]], 1, 80), `${"a".repeat(53)}…  5\n`, "80 less 24 and 2");
  t.equal(wrap("one two three", 7), "one two\nthree");
});

/** A sweep of all metrics, perplexity and many tasks, with a set of blocks of a very long name. */
function wideSweep(): SweepResult {
  const sweep = madeUpSweep(
    [90, 70],
    [
      [10, 70],
      [20, 70],
    ],
    [[5, 60]],
    "short-circuit",
  );
  const metrics = ["tokenAccuracy", "teacherForcedAccuracy", "completionEntropy", "suffixLogLikelihood"];
  for (const scores of [sweep.base, ...sweep.variants]) {
    const extra = Object.fromEntries(metrics.map((name) => [name, 1.23456789]));
    Object.assign(scores.memorization ?? {}, extra);
    const { quiz } = scores.tasks ?? {};
    Object.assign(scores, {
      tasks: Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`lambada_openai_${index}`, quiz])),
    });
  }
  const blocks = Array.from({ length: 24 }, (_, block) => block);
  Object.assign(sweep.variants[2] as object, { name: `blocks ${blocks.join(", ")}`, kind: "set", blocks });
  return { ...sweep, cost: { seconds: 1, operations: 1e12, memory: 1, node: "" } };
}

t.test("tables", async (t) => {
  const sweep = wideSweep();
  const scores = { accuracy: 0.123456789, standardErrors: { accuracy: 0.0123456789 } };
  const heads = Array.from({ length: 16 }, () => 0.123);
  const texts = {
    sweep: sweepText(sweep),
    recommendation: recommendationText(recommend(sweep)),
    benchmark: benchmarkText({ ["a_task_with_a_name_".repeat(4)]: scores } as never),
    memorization: memorizationText({ rows: 5, exactMatch: 0.25 } as never),
    paper: paperText(madeUpPaper({ name: "a-model-with-a-name-".repeat(4) }, { name: "b" })),
    attention: attentionText({ blocks: [{ share: 0.5, heads }], tokens: 9 } as never),
  };
  for (const [name, text] of Object.entries(texts)) {
    t.ok(widest(text) <= 80 && widest(text) > 20, `${name}: ${widest(text)} columns\n${text}`);
  }
  for (let task = 0; task < 7; task++) t.ok(texts.sweep.includes(`lambada_openai_${task}`), "every column is printed");
  for (const part of texts.sweep.split("\n\n").slice(0, -1)) t.match(part, /^name +blocks +mode /);

  const folder = await temporaryFolder(t);
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, "sweep.json");
  writeFileSync(file, JSON.stringify(sweep));
  const printed = await runCommand([process.execPath, program, "recommend", file], { env: environment });
  t.equal(printed.stdout, texts.recommendation, "from the command line");
  const wide = await runCommand([process.execPath, program, "recommend", file], {
    env: { ...environment, COLUMNS: "200" },
  });
  t.ok(widest(wide.stdout) > 80, "a wider terminal is used");
});
