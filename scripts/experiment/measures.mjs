// Reads the data to measure a model with: a folder of samples (*.jsonl), held-out.txt and tasks/*.jsonl.
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";

const secret = v.object({ prefix: v.string(), suffix: v.string(), repetitions: v.number() });
const question = v.pipe(
  v.object({ query: v.string(), choices: v.array(v.string()), gold: v.number() }),
  v.check(({ choices, gold }) => gold in choices, "gold must be the place of one of the choices, from 0"),
);

async function readRows(file, schema) {
  const lines = (await readFile(file, "utf8")).split("\n");
  return lines.flatMap((line, index) => {
    if (line.trim() === "") return [];
    try {
      return [v.parse(schema, JSON.parse(line))];
    } catch (error) {
      throw new Error(`${file}, line ${index + 1}: ${error.message}`, { cause: error });
    }
  });
}

async function readAll(folder, schema) {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".jsonl")).sort();
  const read = async (file) => ({
    name: path.basename(file, ".jsonl"),
    rows: await readRows(path.join(folder, file), schema),
  });
  return Promise.all(names.map(read));
}

/**
 * @typedef {{ prefix: string, suffix: string, repetitions: number }} Secret repetitions 0: the control
 * @typedef {{ query: string, choices: string[], gold: number }} Question the answer is " " + choices[gold]
 */

/** @returns {Promise<{ kinds: { name: string, rows: Secret[] }[], tasks: { name: string, rows: Question[] }[], text: string }>} */
export async function readMeasures(folder) {
  return {
    kinds: await readAll(folder, secret),
    tasks: await readAll(path.join(folder, "tasks"), question),
    text: await readFile(path.join(folder, "held-out.txt"), "utf8"),
  };
}
