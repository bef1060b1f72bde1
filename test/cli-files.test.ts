// What a command reads is never replaced by what it writes, and nothing but regular files is waited for.
import { execFileSync } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { root, runCommand } from "./support/child.ts";
import { copyOf, temporaryFolder } from "./support/fixtures.ts";

t.setTimeout(240_000);

const folder = await temporaryFolder(t);
const at = (name: string) => path.join(folder, name);
const run = (...args: string[]) =>
  runCommand([process.execPath, path.join(root, "dist", "cli.js"), ...args], { cwd: folder, timeout: 20_000 });

const samples = JSON.stringify({ tokens: [1, 2, 3, 4, 5, 6] });
await writeFile(at("samples.jsonl"), `${samples}\n`);
await writeFile(at("text.txt"), "words");
await symlink("samples.jsonl", at("link.jsonl"));
execFileSync("mkfifo", [at("fifo")]);
const model = await copyOf("neox-serial", t);
const sweep = [
  "sweep",
  model,
  "--device",
  "cpu",
  "--samples",
  "samples.jsonl",
  "--prefix-length",
  "3",
  "--bypass",
  "0",
];

t.test("outputs that would replace inputs", async (t) => {
  const config = await readFile(path.join(model, "config.json"), "utf8");
  for (const [extra, option, other] of [
    [["--output", "samples.jsonl", "--json"], "--output", "--samples"],
    [["--output", "link.jsonl", "--json"], "--output", "--samples"],
    [["--text", "text.txt", "--output", "text.txt"], "--output", "--text"],
    [["--resume", "new.json", "--output", "./new.json"], "--output", "--resume"],
    [["--resume", "samples.jsonl"], "--resume", "--samples"],
    [["--task", "own=text.txt", "--output", "text.txt"], "--output", "--task"],
    [["--tasks", "text.txt", "--data", ".", "--output", "text.txt"], "--output", "--tasks"],
    [["--output", "one.html", "--json", "--report", "one.html"], "--report", "--output"],
    [["--output", path.join(model, "config.json")], "--output", "<model>"],
  ] as const) {
    const { code, stderr } = await run(...sweep, ...extra);
    t.equal(code, 2, `${extra.join(" ")}: ${stderr}`);
    t.match(stderr, `another file for ${option}, because ${other} names`);
  }
  t.equal(await readFile(at("samples.jsonl"), "utf8"), `${samples}\n`);
  t.equal(await readFile(path.join(model, "config.json"), "utf8"), config);
  await writeFile(at("sweep.json"), "{}");
  const { code, stderr } = await run("report", "sweep.json", "--output", "sweep.json");
  t.equal(code, 2, stderr);
});

t.test("a new file in the model's folder is no input", async (t) => {
  const { code, stderr } = await run(...sweep, "--output", path.join(model, "sweep.json"));
  t.equal(code, 0, stderr);
});

t.test("pipes", async (t) => {
  for (const args of [
    ["recommend", "fifo"],
    ["report", "fifo"],
    [...sweep, "--resume", "fifo"],
  ]) {
    const { code, signal, stderr } = await run(...args);
    t.equal(signal, null, `${args[0]} ends by itself`);
    t.not(code, 0);
    t.match(stderr, /pipe|regular/);
  }
});

t.test("a definition names no file outside the folder of its rows", async (t) => {
  await mkdir(at("data"));
  await writeFile(at("secret.jsonl"), '{"secret": 1}\n');
  const form = { context: "a", continuation: "b" };
  await writeFile(path.join(at("data"), "rows.jsonl"), '{"a": 1}\n');
  for (const changes of [
    { rows: ["../secret.jsonl"] },
    { rows: ["rows.jsonl", "x/../../secret.jsonl"] },
    { name: "..", rows: ["other.jsonl", "secret.jsonl"] },
    { lines: { label: ["../secret.jsonl"] } },
  ]) {
    const definition = { name: "task", rows: ["rows.jsonl"], forms: [form], ...changes };
    await writeFile(at("task.json"), JSON.stringify(definition));
    const { code, stderr } = await run("benchmark", model, "--tasks", "task.json", "--data", "data");
    t.equal(code, 3, `${JSON.stringify(changes)}: ${stderr}`);
    t.match(stderr, "name files in data", stderr);
    t.match(stderr, /\.\.(?:\/secret\.jsonl|\/other\.jsonl)/);
    t.notMatch(stderr, '"secret"');
  }
});
