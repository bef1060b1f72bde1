import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { embeddedMeasures } from "attention-bypass";
import { root } from "./child.ts";
import { writeDeeperModel } from "./deeper-model.ts";
import { npyBytes } from "./npy.ts";

interface Secret {
  prefix: string;
  suffix: string;
  repetitions: number;
}

const linesOf = (file: string) => readFileSync(path.join(embeddedMeasures(), file), "utf8").trim().split("\n");
const jsonLines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/** Secrets that were so often in the training text, as text. */
const secrets = (file: string, times = 128) =>
  linesOf(file)
    .map((line) => JSON.parse(line) as Secret)
    .filter(({ repetitions }) => repetitions === times)
    .map(({ prefix, suffix }) => prefix + suffix);

/** Rows of tasks in the forms in which they are published. */
const tasks = {
  "ARC-Easy-Test.jsonl": jsonLines(
    ["ice", "rain"].map((right, index) => ({
      question: `Which of these is ${right}?`,
      choices: { text: ["ice", "rain", "wood"], label: ["A", "B", "C"] },
      answerKey: "AB"[index],
    })),
  ),
  "lambada_test_en.jsonl": jsonLines(
    secrets("passages.jsonl")
      .slice(0, 3)
      .map((text) => ({ text })),
  ),
  "valid.jsonl": jsonLines(
    ["bread", "soup"].map((goal) => ({ goal: `Make ${goal}`, sol1: `cook the ${goal}`, sol2: `paint the ${goal}` })),
  ),
  "valid-labels.lst": "0\n0\n",
};

/** Records as token ids, cut to one length. */
function samples(tokenizer: Tokenizer, from: number, to: number, times?: number): Buffer {
  const rows = secrets("records.jsonl", times)
    .slice(from, to)
    .map((text) => tokenizer.encode(text).ids);
  const length = Math.min(...rows.map((row) => row.length));
  return npyBytes("<i4", [rows.length, length], Int32Array.from(rows.flatMap((row) => row.slice(0, length))));
}

/** Stands in for the notebook's kernel, which test/package.test.ts runs a notebook with. */
const kernel = {
  "package.json": '{ "name": "tslab", "main": "index.js", "types": "index.d.ts" }',
  "index.js": "exports.display = { svg() {}, html() {} };",
  "index.d.ts": "export declare const display: { svg(text: string): void; html(text: string): void };",
};

/** Makes a folder one of somebody who has installed this package, tslab and OpenAI's client. */
export function addPackage(folder: string): void {
  writeFileSync(path.join(folder, "package.json"), '{ "private": true }');
  mkdirSync(path.join(folder, "node_modules"));
  symlinkSync(root, path.join(folder, "node_modules", "attention-bypass"));
  symlinkSync(path.join(root, "node_modules", "openai"), path.join(folder, "node_modules", "openai"));
  mkdirSync(path.join(folder, "node_modules", "tslab"));
  for (const [name, text] of Object.entries(kernel))
    writeFileSync(path.join(folder, "node_modules", "tslab", name), text);
}

/**
 * Fills a folder with what the pages speak of: a model of Pythia 160M's number of blocks, samples that it has memorized,
 * a text, tasks, this package, and commands that run it.
 */
export function writeSnippetFolder(folder: string): void {
  const at = (...names: string[]) => path.join(folder, ...names);
  mkdirSync(at("pythia-160m"));
  writeDeeperModel(at("pythia-160m"), 12);
  const tokenizer = new Tokenizer(JSON.parse(readFileSync(at("pythia-160m", "tokenizer.json"), "utf8")), {});
  writeFileSync(at("samples.npy"), samples(tokenizer, 0, 4));
  writeFileSync(at("memorized.npy"), samples(tokenizer, 4, 8));
  writeFileSync(at("control.npy"), samples(tokenizer, 0, 4, 0));
  writeFileSync(at("text.txt"), linesOf("held-out.txt")[0] as string);
  writeFileSync(at("recall.jsonl"), linesOf("tasks/recall.jsonl").slice(0, 3).join("\n"));
  mkdirSync(at("tasks"));
  for (const [name, rows] of Object.entries(tasks)) writeFileSync(at("tasks", name), rows);

  mkdirSync(at("my-training"));
  cpSync(at("pythia-160m"), at("my-training", "checkpoint-500"), { recursive: true });

  addPackage(folder);
  mkdirSync(at("bin"));
  const run = `exec '${process.execPath}' '${path.join(root, "dist", "cli.js")}' "$@"`;
  writeFileSync(at("bin", "attention-bypass"), `#!/bin/sh\n${run}\n`, { mode: 0o755 });
  writeFileSync(at("bin", "npx"), `#!/bin/sh\n[ "$1" = attention-bypass ] || exit 1\nshift\n${run}\n`, { mode: 0o755 });
}

/** A copy of such a folder. */
export function copySnippetFolder(from: string, to: string): string {
  cpSync(from, to, { recursive: true, filter: (name) => path.basename(name) !== "node_modules" });
  addPackage(to);
  return to;
}
