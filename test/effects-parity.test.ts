// Total and direct effects of bypasses, and direct contributions: against hooks on Hugging Face's modules in float64.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import {
  type Bypass,
  type BypassMeans,
  type BypassMode,
  type BypassPart,
  type Contributions,
  type EffectsResult,
  loadModel,
} from "attention-bypass";
import t, { type Test } from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { noPython, python, references } from "./support/python.ts";
import { randomTokens } from "./support/random-model.ts";

t.setTimeout(600_000);
const interpreter = python() ?? "";
const withoutPython = interpreter === "" && noPython;
const here = { device: "cpu", threads: 1 } as const;

interface Case {
  part?: BypassPart;
  mode: BypassMode;
  blocks: number[];
  heads: Record<number, number[]>;
}

const none: Case = { mode: "zero", blocks: [], heads: {} };
const cases: Case[] = [
  none,
  ...[0, 1, 2].map((block): Case => ({ mode: "zero", blocks: [block], heads: {} })),
  ...[0, 2].map((block): Case => ({ mode: "short-circuit", blocks: [block], heads: {} })),
  { mode: "mean", blocks: [1], heads: {} },
  { part: "mlp", mode: "zero", blocks: [0], heads: {} },
  { part: "mlp", mode: "mean", blocks: [1], heads: {} },
  { part: "both", mode: "zero", blocks: [1], heads: {} },
  { part: "both", mode: "mean", blocks: [0, 2], heads: {} },
  { mode: "short-circuit", blocks: [0, 1, 2], heads: {} },
  { mode: "zero", blocks: [], heads: { 1: [1, 3] } },
  { mode: "short-circuit", blocks: [0], heads: { 2: [0] } },
  { mode: "mean", blocks: [2], heads: { 1: [2] } },
];

/** Serial and parallel blocks, tied and untied, local attention, learned and rotary positions, no attention biases. */
const names = ["neox-serial", "neox-no-attention-bias", "neo-types", "gpt2-untied"];

interface ReferenceRow {
  total: [number, number];
  direct: [number, number];
  frozen: [number, number];
  contributions: number[];
  frozen_contributions: number[];
}

const bypassOf = ({ part, mode, blocks, heads }: Case, means: BypassMeans): Bypass => ({
  blocks,
  ...(Object.keys(heads).length > 0 && { heads }),
  ...(part && { part }),
  mode,
  ...(mode === "mean" && { means }),
});

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const inOrder = ({ embedding, attention, mlp, shift }: Contributions) => [
  embedding,
  ...attention.flatMap((value, block) => [value, mlp[block] as number]),
  shift,
];

/** Compares numbers, with a tolerance relative to a size. */
function close(t: Test, ours: readonly number[], theirs: readonly number[], size: number, name: string) {
  const off = Math.max(...theirs.map((value, index) => Math.abs(value - (ours[index] as number))));
  t.equal(ours.length, theirs.length, `${name}: as many`);
  t.ok(off <= 1e-4 * size, `${name}: off by ${off}, allowed ${1e-4 * size}`);
}

/** Rows of several lengths, so that batches are padded and rows have different numbers of scored tokens. */
function rowsOf(vocabulary: number) {
  const lengths = [12, 9, 15];
  return lengths.map((length, seed) => {
    const tokens = randomTokens(length, vocabulary, seed);
    return { prefix: tokens.slice(0, 3 + seed), suffix: tokens.slice(3 + seed) };
  });
}

t.test("against hooks that pin the outputs of later modules", { skip: withoutPython }, async (t) => {
  const folder = await temporaryFolder(t);
  const measured: { name: string; file: string; result: EffectsResult }[] = [];
  for (const name of names) {
    await using model = await loadModel(fixture(name), here);
    const rows = rowsOf(model.config.vocabularySize);
    const { means } = await model.attention(rows);
    const result = await model.effects(rows, { over: cases.map((one) => bypassOf(one, means)) });
    const file = path.join(folder, `${name}.json`);
    const lists = (found: readonly ArrayLike<number>[] = []) => found.map((row) => Array.from(row));
    await writeFile(
      file,
      JSON.stringify({
        rows: rows.map(({ prefix, suffix }) => ({ tokens: [...prefix, ...suffix], first: prefix.length })),
        means: { blocks: lists(means.blocks), mlps: lists(means.mlps) },
        cases,
      }),
    );
    measured.push({ name, file, result });
  }
  const all = await references<ReferenceRow[][]>(
    interpreter,
    "effects.py",
    measured.map(({ name, file }) => [fixture(name), file]),
  );
  for (const [index, { name, result }] of measured.entries())
    await t.test(name, async (t) => agrees(t, result, all[index] as ReferenceRow[][]));
});

function agrees(t: Test, { base, bypasses, rows }: EffectsResult, theirs: ReferenceRow[][]) {
  t.equal(rows, 3);
  const plain = theirs[0] as ReferenceRow[];
  const sizes = [0, 1].map((which) => Math.max(...plain.map(({ total }) => Math.abs(total[which] as number))));
  const [nats, logits] = sizes as [number, number];
  const columns = (found: ReferenceRow[], which: "contributions" | "frozen_contributions") =>
    (found[0] as ReferenceRow)[which].map((_, part) => mean(found.map((row) => row[which][part] as number)));
  const before = columns(plain, "contributions");
  const total = (which: 0 | 1) => plain.map((row) => row.total[which]);
  close(
    t,
    base.perRow.map(({ logLikelihood }) => logLikelihood),
    total(0),
    nats,
    "log-likelihood without a bypass",
  );
  close(
    t,
    base.perRow.map(({ logit }) => logit),
    total(1),
    logits,
    "logit without a bypass",
  );
  close(t, inOrder(base.contributions), before, logits, "contributions without a bypass");
  for (const [index, one] of bypasses.entries()) {
    const name = JSON.stringify(cases[index]);
    const found = theirs[index] as ReferenceRow[];
    for (const [which, quantity, size] of [
      [0, "logLikelihood", nats],
      [1, "logit", logits],
    ] as const) {
      for (const [effect, run] of [
        ["total", "total"],
        ["direct", "direct"],
        ["directFrozen", "frozen"],
      ] as const) {
        const wanted = found.map((row, at) => row[run][which] - (plain[at] as ReferenceRow).total[which]);
        close(
          t,
          one.perRow.map((row) => row[quantity][effect]),
          wanted,
          size,
          `${name}: ${quantity} ${effect}`,
        );
        t.ok(Math.abs(one[quantity][effect].value - mean(wanted)) <= 1e-4 * size, `${name}: mean`);
      }
    }
    const after = columns(found, "contributions");
    const frozen = columns(found, "frozen_contributions");
    close(t, inOrder(one.contributions), after, logits, `${name}: contributions`);
    const place = ({ block, part }: { block: number; part: string }) => 1 + 2 * block + Number(part === "mlp");
    const changes = (of: readonly number[]) =>
      one.changes.map((change) => (of[place(change)] as number) - (before[place(change)] as number));
    close(
      t,
      one.changes.map(({ change }) => change.value),
      changes(after),
      logits,
      `${name}: changes`,
    );
    close(
      t,
      one.changes.map((one) => one.changeFrozen.value),
      changes(frozen),
      logits,
      `${name}: frozen`,
    );
    t.ok(Math.abs(one.logit.norm.value - (sum(after) - sum(frozen))) <= 1e-4 * logits, `${name}: norm`);
  }
}
