// Fills a folder with the model that scores data, and with files that the package itself writes:
// node scripts/fuzz/prepare.mjs FOLDER
import { writeFileSync } from "node:fs";
import path from "node:path";
import { convert, loadModel } from "attention-bypass";
import { fixtures, writeBase } from "./seeds.mjs";
import { sweepOptions } from "./uses.mjs";

const folder = process.argv[2];
const at = (name) => path.join(folder, name);
writeBase(at("base"));
await convert(path.join(fixtures, "neox-serial"), at("converted.pt"));
const model = await loadModel(at("base"), { device: "cpu", threads: 1 });
await model.sweep(sweepOptions(at("resume.jsonl")));
const quiz = { name: "quiz", group: "reasoning", questions: [{ query: [1, 2, 3], choices: [[4], [5, 6]], gold: 1 }] };
const sweep = await model.sweep({
  ...sweepOptions(),
  text: Array.from({ length: 100 }, (_, index) => index),
  tasks: [quiz],
  survey: 2,
});
writeFileSync(at("sweep.json"), JSON.stringify(sweep));
await model.dispose();
