// Hostile calls of all public functions and methods. Seed and index determine the function and its arguments, so the child process
// creates the arguments itself.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { inspect } from "node:util";
import * as exported from "attention-bypass";
import { hostile, mine, spoil } from "./hostile.mjs";
import { randomOf } from "./random.mjs";

/** By names that are not known here. */
const library = { ...exported };
const here = { device: "cpu", threads: 1 };
const bypass = () => ({ blocks: [0], mode: "zero", heads: [0] });
const row = () => [1, 2, 3, 4, 5, 6];
const quiz = () => ({
  name: "quiz",
  group: "reasoning",
  questions: [{ query: "the", choices: ["a", [5, 6]], gold: 1 }],
});
const callbacks = () => ({ signal: new AbortController().signal, onProgress: () => undefined });

/** Good arguments of each method of a model. */
const methods = {
  logProbabilities: () => [[row(), row()], { topLogProbabilities: 2, bypass: bypass(), ...callbacks() }],
  logits: () => [[row(), row()], { bypass: bypass(), ...callbacks() }],
  generate: () => [
    "the",
    {
      maxNewTokens: 2,
      temperature: 0.5,
      topK: 3,
      topP: 0.9,
      seed: 1,
      stop: ["x", 5],
      stopAtEndOfText: true,
      topLogProbabilities: 2,
      bypass: bypass(),
      ...callbacks(),
    },
  ],
  stream: () => [row(), { maxNewTokens: 2, stop: [3], ...callbacks() }],
  perplexity: () => [
    row(),
    { contextLength: 8, stride: 4, beginningToken: 0, memory: 1, bypass: bypass(), ...callbacks() },
  ],
  scoreMemorization: () => [
    [row(), { text: "the sea" }, { prefix: "the", suffix: [1, 2] }],
    {
      prefixLength: 2,
      rows: 2,
      metrics: ["exactMatch"],
      memory: 1,
      temperature: 1,
      topK: 4,
      bypass: bypass(),
      ...callbacks(),
    },
  ],
  sweep: () => [
    {
      samples: [row()],
      prefixLength: 2,
      over: [{ blocks: [0] }],
      mode: "zero",
      metrics: ["exactMatch"],
      text: row(),
      contextLength: 8,
      stride: 4,
      tasks: [quiz()],
      memory: 1e8,
      survey: 1,
      ...callbacks(),
    },
  ],
  benchmark: () => [[quiz()], { data: "rows", rows: 2, bypass: bypass(), ...callbacks() }],
  divergence: () => [row(), { bypass: bypass(), ...callbacks() }],
  attention: () => [[row()], { prefixLength: 2, rows: 1, ...callbacks() }],
};

const tokenizer = { encode: () => ["the sea"], decode: () => [row()] };

const figure = () => ({ title: "Kept", description: "a figure", specification: { mark: "bar", data: { values: [] } } });
const display = () => ({ html: () => undefined, image: () => undefined });

/** Good arguments of each function. `base` is the folder of a model, `folder` one to write to. */
const functions = {
  loadModel: (base) => [base, { ...here, dtype: "float32", offload: false, tokenizer: base, ...callbacks() }],
  convert: (base, folder) => [base, path.join(folder, "out.pt"), { dtype: "float32", ...callbacks() }],
  recommend: () => [{ base: {}, variants: [], settings: {} }, { tolerance: 0.01 }],
  selectivity: () => [{ base: {}, variants: [], settings: {} }],
  createReport: () => [{ base: {}, variants: [{ name: "block 0", blocks: [0] }], settings: {} }, { title: "a report" }],
  drawFigure: () => [figure(), "svg"],
  writeReport: (_, folder) => [
    { title: "a", description: "b", findings: [], figures: [figure()], tables: [] },
    path.join(folder, "report.md"),
    { figure: 0 },
  ],
  showFigure: () => [figure(), display()],
  showReport: () => [{ title: "a", description: "b", findings: [], figures: [figure()], tables: [] }, display()],
  samplesToExtract: () => [0.5, 0.5],
  embeddedModel: () => ["gpt-neox"],
  embeddedMeasures: () => [],
};
/** Functions without arguments that inspect the machine or that listen, and classes that only the package creates. */
const leftOut = new Set(["diagnose", "serve", "AttentionBypassError", "download", "default", "module.exports"]);

let loaded;
const model = () => (loaded ??= library.loadModel(path.join(process.env.FUZZ_PREPARED, "base"), here));

const ownMethods = (object) =>
  Object.getOwnPropertyNames(Object.getPrototypeOf(object)).filter(
    (name) => name !== "constructor" && name !== "dispose" && typeof object[name] === "function",
  );

/** Everything that can be called: [name, of what, good arguments]. */
async function callables(folder) {
  const one = await model();
  const base = path.join(process.env.FUZZ_PREPARED, "base");
  const functionNames = Object.keys(library).filter(
    (name) => !leftOut.has(name) && typeof library[name] === "function",
  );
  return [
    ...functionNames.map((name) => [name, library, () => functions[name]?.(base, folder) ?? [{}, {}]]),
    ...ownMethods(one).flatMap((name) => Array(3).fill([`model.${name}`, one, methods[name] ?? (() => [row(), {}])])),
    ...ownMethods(one.tokenizer).map((name) => [
      `tokenizer.${name}`,
      one.tokenizer,
      tokenizer[name] ?? (() => [row()]),
    ]),
  ];
}

/** Returns the arguments with one of them corrupted, or arbitrary arguments. Output paths stay in the folder. */
function argumentsOf(good, random) {
  const list = good();
  if (random.chance(0.1)) return Array.from({ length: random.below(4) }, () => hostile(random)).map(harmless);
  if (list.length === 0) return [hostile(random)];
  for (let count = random.small(3); count > 0; count--) {
    const at = random.below(list.length);
    list[at] = spoil(list[at], random);
  }
  if (random.chance(0.05)) list.push(hostile(random));
  return list.map(harmless);
}

/** A file with a hostile name must be written to the current folder, which belongs to the case. */
const harmless = (value) =>
  typeof value === "string" &&
  value.startsWith("/") &&
  !value.startsWith(process.env.FUZZ_PREPARED) &&
  !value.startsWith(tmpdir())
    ? value.slice(1)
    : value;

async function settle(result) {
  const value = await result;
  if (typeof value?.[Symbol.asyncIterator] === "function") for await (const _ of value);
  if (typeof value?.dispose === "function" && value !== (await model())) await value.dispose();
}

/** Makes a call and returns its outcome in the form of child.mjs. */
export async function callOnce({ seed, index }) {
  const random = randomOf(seed, "calls", index);
  const folder = mkdtempSync(path.join(tmpdir(), "call-"));
  try {
    const [name, owner, good] = random.pick(await callables(folder));
    let given;
    try {
      given = argumentsOf(good, random);
    } catch {
      // A hostile value cannot be corrupted further.
      return { outcome: "refused", code: "not made", call: name };
    }
    const shown = () => `${name}(${given.map((one) => inspectSafely(one)).join(", ")})`;
    try {
      await settle(owner[name.split(".").at(-1)](...given));
      return { outcome: "loaded", call: name };
    } catch (error) {
      // A class as a callback throws when it is called, which is the caller's own error too.
      if (error === mine || /^Class constructor/.test(error?.message))
        return { outcome: "refused", code: "the caller's own", call: name };
      if (error?.name !== "AttentionBypassError")
        return {
          outcome: "refused",
          call: name,
          fault: `untyped error: ${error?.stack ?? String(error)}`,
          what: shown(),
        };
      return { outcome: "refused", code: error.code, call: name };
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function inspectSafely(value) {
  try {
    return inspect(value, { depth: 4, maxArrayLength: 10, maxStringLength: 200, breakLength: 200 });
  } catch {
    return "something that can't be shown";
  }
}
