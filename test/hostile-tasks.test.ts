// A task's definition and rows may loop, fill memory or be damaged: that ends in one error, and nothing else.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { benchmarkNames, loadModel } from "attention-bypass";
import t from "tap";
import { root } from "./support/child.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { refuses } from "./support/refusals.ts";

const folder = await temporaryFolder(t);
const model = await loadModel(path.join(root, "models", "gpt-neox"), { device: "cpu" });
t.after(() => model.dispose());

const row = { goal: `${"a".repeat(40)}!`, sol1: "x", sol2: "y", label: 0 };
const rows = path.join(folder, "rows.jsonl");
await writeFile(rows, `${JSON.stringify(row)}\n`);

/** Writes a definition whose form has these fields too. */
async function definition(name: string, form: object): Promise<string> {
  const file = path.join(folder, `${name}.json`);
  const whole = { context: "{{ goal }}", choices: ["{{ sol1 }}", "{{ sol2 }}"], gold: "{{ label }}", ...form };
  await writeFile(file, JSON.stringify({ name, rows: ["rows.jsonl"], forms: [whole] }));
  return file;
}

const loop = await definition("loop", { context: "{% for i in range(1000000000) %}x{% endfor %}" });

t.test("what takes too long or too much is ended, and the event loop runs meanwhile", async (t) => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 100);
  const double = "{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";
  const forms: [file: string, ...said: string[]][] = [
    [loop, "row 1", rows],
    [await definition("backtracking", { replace: [["(a+)+$", ""]] }), "row 1", "takes longer than"],
    [await definition("doubling", { context: `{% set ns = namespace(x='ab') %}${double}` }), "row 1"],
    [await definition("nested", { context: `{{ ${"(".repeat(5000)}1${")".repeat(5000)} }}` }), "row 1"],
    [await definition("pattern", { replace: [["(", ""]] }), "Invalid regular expression"],
  ];
  await Promise.all(
    forms.map(([file, ...said]) =>
      refuses(t, file, () => model.benchmark(file, { data: rows }), "TASK_INVALID", ...said),
    ),
  );
  clearInterval(timer);
  t.ok(ticks > 20, `${ticks} ticks`);
});

t.test("rows nested too deeply and names of any length are named in a short message", async (t) => {
  const written = async (name: string, row: string) => {
    const file = path.join(folder, name);
    await writeFile(file, `${row}\n`);
    return file;
  };
  const deep = await written(
    "deep.jsonl",
    `{"goal":"a","sol1":"x","sol2":${"[".repeat(1e5)}${"]".repeat(1e5)},"label":0}`,
  );
  const long = await written("long.jsonl", JSON.stringify({ ...row, label: "a".repeat(20_000) }));
  const own = await definition("names", { ["é".repeat(20_000)]: "x" });
  const needs = await definition("needs", { needs: ["[".repeat(20_000)] });
  const calls: [call: () => Promise<unknown>, ...said: string[]][] = [
    [() => model.benchmark("piqa", { data: deep }), "nested too deeply", deep],
    [() => model.benchmark("piqa", { data: long }), '"aaa', "not one of the 2 answers"],
    [() => model.benchmark(own, { data: rows }), "forms.0.ééé"],
    [() => model.benchmark(needs, { data: rows }), "with the columns", "[[["],
  ];
  for (const [call, ...said] of calls) {
    await refuses(t, said[0] as string, call, "TASK_INVALID", ...said);
    const message = await call().catch((error: Error) => error.message);
    t.ok((message as string).length < 1000, `${(message as string).length} characters`);
  }
});

t.test("an abort ends it at once", async (t) => {
  const begun = performance.now();
  const signal = AbortSignal.timeout(300);
  await t.rejects(model.benchmark(loop, { data: rows, signal }), { name: "TimeoutError" });
  t.ok(performance.now() - begun < 5000);
});

t.test("it ends with the process that started it", async (t) => {
  const program = `
    import { loadModel } from "attention-bypass";
    const [, model, definition, data] = process.argv;
    const loaded = await loadModel(model, { device: "cpu" });
    console.log("loaded");
    await loaded.benchmark(definition, { data });`;
  const args = ["--input-type=module", "--eval", program, path.join(root, "models", "gpt-neox"), loop, rows];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  let ids: string[] = [];
  for (let wait = 0; wait < 200 && ids.length === 0; wait++) {
    await sleep(50);
    ids = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")).split(" ").filter(Boolean);
  }
  t.equal(ids.length, 1);
  await sleep(1000);
  child.kill("SIGKILL");
  for (let wait = 0; wait < 100 && existsSync(`/proc/${ids[0]}`); wait++) await sleep(50);
  t.notOk(existsSync(`/proc/${ids[0]}`));
});

t.test("templates reach nothing of JavaScript", async (t) => {
  const file = await definition("reach", { context: "{{ goal.constructor.constructor('return 1')() }}" });
  await refuses(t, "constructor", () => model.benchmark(file, { data: rows }), "TASK_INVALID", "row 1");
  const inherited = await definition("inherited", { choices: "goal.constructor" });
  await refuses(t, "inherited", () => model.benchmark(inherited, { data: rows }), "TASK_INVALID", "no list");
  const needs = await definition("needs", { needs: ["constructor"] });
  await refuses(t, "needs", () => model.benchmark(needs, { data: rows }), "TASK_INVALID", "constructor");
});

t.test("damaged Parquet ends in one error", async (t) => {
  const rejections: unknown[] = [];
  const listener = (error: unknown) => rejections.push(error);
  process.on("unhandledRejection", listener);
  const whole = await readFile(path.join(import.meta.dirname, "fixtures", "parquet", "hellaswag.parquet"));
  const file = path.join(folder, "named.jsonl");
  // Each byte that is changed lies at another place: pages, schema, footer.
  for (const place of [60, 300, 700, 1000, whole.length - 200, whole.length - 8]) {
    const damaged = Buffer.from(whole);
    for (let at = place; at < place + 8; at++) damaged[at] = (damaged[at] as number) ^ 0x55;
    await writeFile(file, damaged);
    const outcome = await model.benchmark("hellaswag", { data: file }).then(
      () => "read",
      (error: { code?: string }) => error.code,
    );
    t.ok(outcome === "read" || outcome === "TASK_INVALID", `${place}: ${outcome}`);
  }
  await writeFile(file, whole.subarray(0, 900));
  await refuses(t, "cut", () => model.benchmark("hellaswag", { data: file }), "TASK_INVALID", file, "Parquet");
  await writeFile(file, whole);
  t.equal((await model.benchmark("hellaswag", { data: file })).hellaswag?.questions, 2, "whole, by its first bytes");
  await refuses(
    t,
    "as samples",
    () => model.scoreMemorization(file, { prefixLength: 1 }),
    "SAMPLES_INVALID",
    "row 0",
    "activity_label",
  );
  await sleep(100);
  t.same(rejections, []);
  process.off("unhandledRejection", listener);
});

t.test("an empty choice, which would win by saying nothing, is refused", async (t) => {
  const questions = [{ query: "The pond was", choices: ["", "hard"], gold: 1 }];
  await refuses(t, "in memory", () => model.benchmark({ name: "own", questions }), "INVALID_ARGUMENT", "not empty");
  const file = path.join(folder, "own.jsonl");
  await writeFile(file, `${JSON.stringify(questions[0])}\n`);
  await refuses(
    t,
    "in a file",
    () => model.benchmark({ name: "own", questions: file }),
    "INVALID_ARGUMENT",
    "not empty",
  );
  const empty = await definition("empty", { choices: ["{{ goal[:0] }}", "{{ sol2 }}"] });
  await refuses(t, "rendered", () => model.benchmark(empty, { data: rows }), "INVALID_ARGUMENT", "not empty");
  t.ok(benchmarkNames.length > 0);
});

t.test("a column that a template names and a row has not is refused, unless the template says what then", async (t) => {
  const benchmark = (file: string) => model.benchmark([{ definition: file, data: rows }]);
  for (const [name, context] of [
    ["plain", "{{ gaol }}"],
    ["filtered", "{{ gaol | trim }}"],
    ["member", "{{ gaol.split(' ')[0] }}"],
    ["joined", "{{ goal ~ gaol }}"],
  ] as const) {
    const file = await definition(`missing-${name}`, { context });
    await refuses(t, name, () => benchmark(file), "TASK_INVALID", '"gaol"', "row 1");
  }
  for (const [name, context] of [
    ["default", "{{ gaol | default('x') }}"],
    ["tested", "a{% if gaol is defined %}{{ gaol }}{% endif %}"],
    ["set", "{% set gaol = goal %}{{ gaol }}"],
    ["range", "{{ range(3) | join(' ') }}"],
  ] as const) {
    const file = await definition(`present-${name}`, { context });
    t.equal(Object.values(await benchmark(file))[0]?.perQuestion.length, 1, name);
  }
});
