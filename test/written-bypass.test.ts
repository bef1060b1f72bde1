// Models that `convert` writes with a bypass in their weights: in transformers, in PyTorch, and here again.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { inspect } from "node:util";
import {
  type Bypass,
  type BypassMeans,
  type BypassMode,
  convert,
  embeddedModel,
  loadModel,
  type Model,
} from "attention-bypass";
import t from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { noPython, python, references } from "./support/python.ts";
import { randomTokens } from "./support/random-model.ts";
import { close, inPython, newTokens } from "./support/written-models.ts";

t.setTimeout(600_000);
const interpreter = python() ?? "";
const withoutPython = interpreter === "" && noPython;
const here = { device: "cpu", threads: 1 } as const;

interface Case {
  part?: "mlp" | "both";
  mode: BypassMode;
  blocks?: number[];
  heads?: Record<number, number[]>;
  /** For hooks, which short-circuit only heads: all heads of these blocks. */
  whole?: number[];
}

/** What weights can hold. */
const weightCases: Case[] = [
  { mode: "zero", blocks: [1] },
  { mode: "zero", blocks: [0], heads: { 2: [2] } },
  { mode: "zero", heads: { 1: [1, 3], 2: [0, 1] } },
  { mode: "mean", blocks: [1] },
  { mode: "mean", blocks: [0], heads: { 1: [0, 2] } },
  { part: "mlp", mode: "zero", blocks: [1] },
  { part: "mlp", mode: "mean", blocks: [0, 1] },
  { part: "both", mode: "zero", blocks: [2] },
  { part: "both", mode: "mean", blocks: [0, 2] },
];
/** What only an archive can hold. */
const shortCircuits: Case[] = [
  { mode: "short-circuit", whole: [1] },
  { mode: "short-circuit", heads: { 0: [3], 1: [0, 2] } },
  { mode: "short-circuit", whole: [0], heads: { 2: [1] } },
];

const bypassOf = ({ part, mode, blocks, heads, whole }: Case, means: BypassMeans): Bypass => ({
  blocks: [...(blocks ?? []), ...(whole ?? [])],
  ...(heads && { heads }),
  ...(part && { part }),
  mode,
  ...(mode === "mean" && { means }),
});

/** A case as attention_hooks.py takes it. */
const hooked = ({ part, mode, blocks = [], heads = {}, whole = [] }: Case, headCount: number) => ({
  ...(part && { part }),
  mode,
  blocks,
  heads: { ...heads, ...Object.fromEntries(whole.map((block) => [block, [...Array(headCount).keys()]])) },
});

const models = [
  ...["neox-serial", "neox-no-attention-bias", "neox-tied", "neox-sharded-bin"].map(fixture),
  ...["neo-types", "neo-untied", "gpt2", "gpt2-untied", "gpt2-without-prefix"].map(fixture),
  embeddedModel("gpt-neox"),
  embeddedModel("gpt-neo"),
];

const generated = async (model: Model, rows: number[][], bypass?: Bypass) => {
  const options = { maxNewTokens: newTokens, stopAtEndOfText: false, ...(bypass && { bypass }) };
  return (await model.generate(rows, options)).map(({ tokens }) => tokens);
};

/** A case of a model, with what this package generates with its bypass, and where it is written. */
interface Prepared {
  one: Case;
  bypass: Bypass;
  greedy: number[][];
  written: string[];
}

/** Writes a model with each bypass. */
async function prepare(place: string, folder: string) {
  await using model = await loadModel(place, { ...here, dtype: "float32" });
  const { headCount, vocabularySize } = model.config;
  const rows = [0, 1].map((seed) => randomTokens(10, vocabularySize, seed));
  const { means } = await model.attention(rows);
  const prepared: Prepared[] = [];
  for (const [index, one] of [...weightCases, ...shortCircuits].entries()) {
    const bypass = bypassOf(one, means);
    const at = path.join(folder, `${path.basename(place)}-${index}`);
    const options = { bypass, dtype: "float32" } as const;
    const inArchive = one.mode === "short-circuit" || index === 4 || index === 8;
    const withoutBias = one.mode === "mean" && one.part !== "mlp" && place.endsWith("no-attention-bias");
    const asFolder = one.mode !== "short-circuit" && !withoutBias;
    if (asFolder) {
      await convert(place, at, { ...options, format: "checkpoint", ...(index % 2 === 1 && { shardSize: 100_000 }) });
    }
    if (inArchive || withoutBias) await convert(place, `${at}.pt`, options);
    const written = [...(asFolder ? [at] : []), ...(inArchive || withoutBias ? [`${at}.pt`] : [])];
    prepared.push({ one, bypass, greedy: await generated(model, rows, bypass), written });
  }
  const file = path.join(folder, `${path.basename(place)}.json`);
  await writeFile(file, JSON.stringify({ rows, cases: prepared.map(({ one }) => hooked(one, headCount)) }));
  return { place, rows, prepared, file };
}

t.test("written models are what hooks give on the original", { skip: withoutPython }, async (t) => {
  const folder = await temporaryFolder(t);
  const originals = [];
  for (const place of models) originals.push(await prepare(place, folder));
  const lists = originals.map(({ place, file }) => [place, file]);
  const hooks = await references<{ logits: number[][] }>(interpreter, "attention_hooks.py", lists);
  const written = originals.flatMap(({ rows, prepared }) =>
    prepared.flatMap(({ written }) => written.map((path) => ({ path, rows }))),
  );
  const loaded = await inPython(interpreter, folder, written);
  const theirs = new Map(written.map(({ path }, index) => [path, loaded[index]]));
  for (const [number, { place, rows, prepared }] of originals.entries()) {
    await t.test(path.basename(place), async (t) => {
      for (const [index, { one, greedy, written }] of prepared.entries()) {
        const expected = hooks[number]?.logits[index] as number[];
        for (const path of written) {
          const name = `${JSON.stringify(one)} ${path.endsWith(".pt") ? "archive" : "folder"}`;
          const python = theirs.get(path);
          t.same(python?.problems, [], `${name}: keys`);
          close(t, python?.logits ?? [], expected, 2e-4, `${name} in Python`);
          t.same(python?.greedy, greedy, `${name}: greedy tokens`);
          await using model = await loadModel(path, here);
          close(t, (await model.logits(rows)).data, expected, 2e-4, `${name} here`);
          t.same(await generated(model, rows), greedy, `${name}: greedy tokens here`);
          t.match(inspect(model), /, bypass of block.* \((zero|mean|short-circuit)\) in the weights/, name);
          t.match(model.notices.at(-1), /^the weights contain a bypass of block.*, written by attention-bypass \d/);
        }
      }
    });
  }
});
