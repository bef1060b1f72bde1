// The models in models/: that they have memorized and can do what they are said to, that their measures are those of
// the generator, and that Hugging Face computes the same on them.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { type Bypass, loadModel, type Model, type Tokenizer } from "attention-bypass";
import t, { type Test } from "tap";
import { chanceOfAsMany, measureBase, shareOf } from "../scripts/experiment/measure.mjs";
import { readMeasures, type Secret } from "../scripts/experiment/measures.mjs";
import { temporaryFolder } from "./support/fixtures.ts";
import { npyBytes } from "./support/npy.ts";
import { noPython, python, reference, references } from "./support/python.ts";
import { shared, skipReason } from "./support/shared.ts";

t.setTimeout(1_200_000);
/** Two test files run at a time, so that each has one core. */
const here = { device: "cpu", threads: 1 } as const;
const root = path.join(import.meta.dirname, "..");
const folderOf = (name: string) => path.join(root, "models", name);
const measures = await readMeasures(folderOf("measures"));
const interpreter = python() ?? "";
const withoutPython = interpreter === "" && noPython;
const run = promisify(execFile);

const mostRepeated = 128;
const secretsRead = (times: number): Secret[] =>
  measures.kinds.flatMap(({ rows }) => rows.filter((row) => row.repetitions === times));

t.test("shares and what chance gives, where they have a closed form", async (t) => {
  const close = (found: number, wanted: number, name: string) => t.ok(Math.abs(found - wanted) < 1e-9, name);
  const none = shareOf([0, 0, 0, 0]);
  const all = shareOf([1, 1, 1]);
  t.equal(none.share, 0);
  t.equal(none.low, 0);
  close(none.high, 1 - 0.025 ** (1 / 4), "no hit in four");
  t.equal(all.share, 1);
  t.equal(all.high, 1);
  close(all.low, 0.025 ** (1 / 3), "three of three");
  t.equal(chanceOfAsMany(none, 0.25), 1);
  close(chanceOfAsMany(all, 0.25), 0.25 ** 3, "three of three by chance");
  close(chanceOfAsMany(shareOf([1, 0, 0, 0, 0]), 0.25), 1 - 0.75 ** 5, "one or more of five by chance");
});

t.test("the measures are those of the generator, and the corpus has each secret as often as they say", async (t) => {
  const folder = await temporaryFolder(t);
  const again = path.join(folder, "measures");
  const generator = path.join(root, "scripts", "embedded", "corpus.py");
  await run(process.env.ATTENTION_BYPASS_PYTHON ?? "python3", [generator, folder, again]);
  const files = readdirSync(again, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  t.ok(files.length >= 6);
  for (const { parentPath, name } of files) {
    const written = path.join(parentPath, name);
    const committed = path.join(folderOf("measures"), path.relative(again, written));
    t.equal(readFileSync(committed, "utf8"), readFileSync(written, "utf8"), name);
  }
  const documents = readFileSync(path.join(folder, "train.txt"), "utf8");
  for (const { prefix, suffix, repetitions } of measures.kinds.flatMap(({ rows }) => rows)) {
    t.equal(documents.split(prefix + suffix).length - 1, repetitions, prefix);
  }
  for (const { rows } of measures.kinds) {
    const times = [...new Set(rows.map((row) => row.repetitions))];
    t.same(times, [0, 1, 2, 4, 8, 16, 32, 64, 128]);
  }
  const told = new Set(documents.split("\n"));
  t.notOk(
    measures.text.split("\n").some((document) => document !== "" && told.has(document)),
    "nothing held out was told",
  );
});

/** Secrets that were read often, cut to one length, as the reference sweep wants them. */
function equalRows(tokenizer: Tokenizer, length: number): number[][] {
  const rows = secretsRead(mostRepeated).map(({ prefix, suffix }) => tokenizer.encode(prefix + suffix));
  return rows.filter((row) => row.length >= length).map((row) => row.slice(0, length));
}

interface ReferenceScores {
  exact_match: number;
  token_accuracy: number;
  completion_entropy: number;
}

interface ReferenceSweep {
  base: ReferenceScores;
  blocks: Record<string, ReferenceScores>;
}

async function agreesWithReferenceSweep(t: Test, model: Model, folder: string) {
  const script = shared("tools", "reference_sweep.py") as string;
  const [length, prefixLength] = [24, 8];
  const rows = equalRows(model.tokenizer as Tokenizer, length);
  t.ok(rows.length >= 24);
  const file = path.join(await temporaryFolder(t), "rows.npy");
  await writeFile(file, npyBytes("<i8", [rows.length, length], BigInt64Array.from(rows.flat(), BigInt)));
  const modes = ["zero", "short-circuit"] as const;
  const common = [folder, file, "--prefix-length", `${prefixLength}`, "--threads", "1"];
  const lists = modes.map((mode) => [...common, "--mode", mode]);
  const sweeps = await references<ReferenceSweep>(interpreter, script, lists);
  const measure = (bypass?: Bypass) =>
    model.scoreMemorization(file, {
      prefixLength,
      metrics: ["exactMatch", "tokenAccuracy", "completionEntropy"],
      ...(bypass && { bypass }),
    });
  const agrees = (ours: Awaited<ReturnType<typeof measure>>, theirs: ReferenceScores | undefined, name: string) => {
    const { exact_match, token_accuracy, completion_entropy } = theirs as ReferenceScores;
    t.ok(Math.abs(ours.exactMatch - exact_match) <= 1e-9, `${name}: exact match`);
    t.ok(Math.abs(ours.tokenAccuracy - token_accuracy) <= 1e-6, `${name}: token accuracy`);
    t.ok(Math.abs(ours.completionEntropy / completion_entropy - 1) <= 1e-4, `${name}: entropy`);
  };
  agrees(await measure(), sweeps[0]?.base, "base");
  for (const [index, mode] of modes.entries()) {
    for (let block = 0; block < model.config.blockCount; block++)
      agrees(await measure({ blocks: [block], mode }), sweeps[index]?.blocks[block], `block ${block}, ${mode}`);
  }
}

for (const name of ["gpt-neox", "gpt-neo"]) {
  const folder = folderOf(name);

  t.test(`${name} is small, has memorized and is able`, async (t) => {
    t.ok(statSync(path.join(folder, "model.safetensors")).size <= 8e6);
    const model = await loadModel(folder, here);
    t.ok(model.config.blockCount >= 8);
    const base = await measureBase(model, measures);
    const extractionAt = (times: number) => base.extraction.filter((point) => point.repetitions === times);
    for (const { kind, share } of extractionAt(mostRepeated)) t.ok(share >= 0.9, `${kind}: exact match ${share}`);
    for (const { kind, share } of extractionAt(0)) t.equal(share, 0, `${kind}: the control`);
    t.ok(base.perplexity <= base.unigramPerplexity / 3, `perplexity ${base.perplexity}`);
    t.equal(base.tasks.length, 3);
    for (const { task, pValue } of base.tasks) t.ok(pValue < 1e-3, `${task} by chance: ${pValue}`);
    await model.dispose();
  });

  t.test(`${name} in Hugging Face transformers`, { skip: withoutPython }, async (t) => {
    const model = await loadModel(folder, here);
    const rows = equalRows(model.tokenizer as Tokenizer, 24).slice(0, 8);
    const file = path.join(await temporaryFolder(t), "rows.json");
    await writeFile(file, JSON.stringify(rows));
    const theirs = await reference<number[]>(interpreter, "logits.py", [folder, file]);
    const { data } = await model.logits(rows);
    t.equal(theirs.length, data.length);
    let [largest, difference] = [0, 0];
    for (const [index, value] of theirs.entries()) {
      largest = Math.max(largest, Math.abs(value));
      difference = Math.max(difference, Math.abs(value - (data[index] as number)));
    }
    t.ok(largest > 0);
    t.ok(difference <= 1e-5 * largest, `largest difference ${difference / largest} of the largest logit`);
    await model.dispose();
  });

  const skip = (shared("tools", "reference_sweep.py") === undefined && skipReason) || withoutPython;
  t.test(`${name} in the reference sweep`, { skip }, async (t) => {
    const model = await loadModel(folder, here);
    await agreesWithReferenceSweep(t, model, folder);
    await model.dispose();
  });
}
