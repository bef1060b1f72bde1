// Memorization of trained models, for the base and each block alone in both modes: against the reference sweep of
// Hugging Face, and against generating and comparing with this package's own generate.
import { readFileSync } from "node:fs";
import path from "node:path";
import { type Bypass, type BypassMode, loadModel, type Model } from "attention-bypass";
import { parse as parseNpy } from "npyjs";
import t, { type Test } from "tap";
import { shared, skipReason } from "./support/shared.ts";

t.setTimeout(3_600_000);

interface SweepScores {
  exact_match: number;
  token_accuracy: number;
  completion_entropy: number;
}

interface Sweep {
  mode: BypassMode;
  rows: number;
  prefix_length: number;
  base: SweepScores;
  blocks: Record<string, SweepScores>;
}

function readRows(file: string, count: number): number[][] {
  const bytes = readFileSync(file);
  const { data, shape } = parseNpy(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const length = shape[1] as number;
  const ids = data as unknown as ArrayLike<number>;
  return Array.from({ length: count }, (_, row) =>
    Array.from({ length }, (_, column) => Number(ids[row * length + column])),
  );
}

/** Exact match and token accuracy of each row, the plain way. */
async function generateAndCompare(model: Model, rows: number[][], prefixLength: number, bypass: Bypass | undefined) {
  const scores: { exactMatch: number; tokenAccuracy: number }[] = [];
  for (let begin = 0; begin < rows.length; begin += 64) {
    const batch = rows.slice(begin, begin + 64);
    const generations = await model.generate(
      batch.map((row) => row.slice(0, prefixLength)),
      {
        maxNewTokens: (batch[0] as number[]).length - prefixLength,
        stopAtEndOfText: false,
        ...(bypass && { bypass }),
      },
    );
    for (const [index, { tokens }] of generations.entries()) {
      const suffix = (batch[index] as number[]).slice(prefixLength);
      const right = tokens.filter((token, position) => token === suffix[position]).length;
      scores.push({ exactMatch: right === suffix.length ? 1 : 0, tokenAccuracy: right / suffix.length });
    }
  }
  return scores;
}

async function agrees(
  t: Test,
  model: Model,
  folder: string,
  sweep: Sweep,
  bypass: Bypass | undefined,
  theirs: SweepScores,
) {
  const file = path.join(folder, "memorized.npy");
  const { prefix_length: prefixLength, rows } = sweep;
  const ours = await model.scoreMemorization(file, {
    prefixLength,
    rows,
    metrics: ["exactMatch", "tokenAccuracy", "completionEntropy"],
    ...(bypass && { bypass }),
  });
  const name = bypass ? `block ${bypass.blocks} ${bypass.mode}` : "base";
  t.equal(ours.rows, rows);
  t.ok(Math.abs(ours.exactMatch - theirs.exact_match) <= 0.01, `${name}: exact match`);
  t.ok(Math.abs(ours.tokenAccuracy - theirs.token_accuracy) <= 0.01, `${name}: token accuracy`);
  t.ok(Math.abs(ours.completionEntropy / theirs.completion_entropy - 1) <= 1e-3, `${name}: completion entropy`);
  const plain = await generateAndCompare(model, readRows(file, rows), prefixLength, bypass);
  t.same(
    ours.perRow.map(({ exactMatch, tokenAccuracy }) => ({ exactMatch, tokenAccuracy })),
    plain,
    `${name}: generating and comparing`,
  );
}

for (const name of ["pythia-study", "gpt-neo-study"]) {
  const place = shared("study", name);
  t.test(name, { skip: place === undefined && skipReason }, async (t) => {
    const folder = place as string;
    const model = await loadModel(folder, { device: "cpu", dtype: "float32" });
    for (const mode of ["zero", "short-circuit"] as const) {
      const sweep: Sweep = JSON.parse(readFileSync(path.join(folder, `sweep.${mode}.json`), "utf8"));
      if (mode === "zero") await agrees(t, model, folder, sweep, undefined, sweep.base);
      for (const [block, theirs] of Object.entries(sweep.blocks)) {
        await agrees(t, model, folder, sweep, { blocks: [Number(block)], mode }, theirs);
      }
    }
    await model.dispose();
  });
}
