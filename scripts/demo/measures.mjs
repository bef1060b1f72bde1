// What a model is measured on: a folder of samples (*.jsonl), held-out.txt and tasks/*.jsonl.
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";

async function readRows(file) {
  const lines = (await readFile(file, "utf8")).split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => JSON.parse(line));
}

async function readAll(folder) {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".jsonl")).sort();
  return Promise.all(
    names.map(async (file) => ({ name: path.basename(file, ".jsonl"), rows: await readRows(path.join(folder, file)) })),
  );
}

/**
 * @typedef {{ prefix: string, suffix: string, repetitions: number }} Secret
 * @typedef {{ query: string, choices: string[], gold: number }} Question the answer is " " + choices[gold]
 */

/** @returns {Promise<{ kinds: { name: string, rows: Secret[] }[], tasks: { name: string, rows: Question[] }[], text: string }>} */
export async function readMeasures(folder) {
  return {
    kinds: await readAll(folder),
    tasks: await readAll(path.join(folder, "tasks")),
    text: await readFile(path.join(folder, "held-out.txt"), "utf8"),
  };
}
