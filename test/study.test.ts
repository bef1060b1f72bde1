// Memorization of trained models, for the base and each block alone in both modes: the sweep against the reference sweep
// of Hugging Face, against generating and comparing with this package's own generate, and against itself in bfloat16.
import { readFileSync } from "node:fs";
import path from "node:path";
import { type Bypass, type BypassMode, loadModel, type Model, type SweepResult } from "attention-bypass";
import { parse as parseNpy } from "npyjs";
import t from "tap";
import { shared, skipReason } from "./support/shared.ts";

t.setTimeout(3_600_000);

interface SweepScores {
  exact_match: number;
  token_accuracy: number;
  completion_entropy: number;
}

interface ReferenceSweep {
  mode: BypassMode;
  rows: number;
  prefix_length: number;
  base: SweepScores;
  blocks: Record<string, SweepScores>;
}

const metrics = ["exactMatch", "tokenAccuracy", "completionEntropy"] as const;
type Measured = SweepResult<(typeof metrics)[number]>;

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

/** The scores of the base and of each variant, with the bypass of each. */
function measurements({ base, variants }: Measured) {
  const scores = [base, ...variants].map(({ memorization }) => memorization as NonNullable<typeof memorization>);
  return scores.map((score, index) => {
    const variant = variants[index - 1];
    return variant === undefined
      ? { name: "base", score, bypass: undefined }
      : { name: `${variant.name} ${variant.mode}`, score, bypass: { blocks: variant.blocks, mode: variant.mode } };
  });
}

for (const name of ["pythia-study", "gpt-neo-study"]) {
  const place = shared("study", name);
  t.test(name, { skip: place === undefined && skipReason }, async (t) => {
    const folder = place as string;
    const samples = path.join(folder, "memorized.npy");
    const references = Object.fromEntries(
      ["zero", "short-circuit"].map((mode) => [
        mode,
        JSON.parse(readFileSync(path.join(folder, `sweep.${mode}.json`), "utf8")) as ReferenceSweep,
      ]),
    ) as Record<BypassMode, ReferenceSweep>;
    const { rows, prefix_length: prefixLength } = references.zero;
    const swept = async (model: Model) =>
      measurements(await model.sweep({ samples, prefixLength, rows, metrics, mode: ["zero", "short-circuit"] }));

    const model = await loadModel(folder, { device: "cpu", dtype: "float32" });
    const float32 = await swept(model);
    t.equal(float32.length, 1 + 2 * model.config.blockCount, "the base, and each block in both modes");
    for (const { name, score, bypass } of float32) {
      const theirs = bypass ? references[bypass.mode].blocks[Number(bypass.blocks[0])] : references.zero.base;
      const { exact_match, token_accuracy, completion_entropy } = theirs as SweepScores;
      t.equal(score.rows, rows);
      t.ok(Math.abs(score.exactMatch - exact_match) <= 0.01, `${name}: exact match`);
      t.ok(Math.abs(score.tokenAccuracy - token_accuracy) <= 0.01, `${name}: token accuracy`);
      t.ok(Math.abs(score.completionEntropy / completion_entropy - 1) <= 1e-3, `${name}: completion entropy`);
      t.same(
        score.perRow.map(({ exactMatch, tokenAccuracy }) => ({ exactMatch, tokenAccuracy })),
        await generateAndCompare(model, readRows(samples, rows), prefixLength, bypass),
        `${name}: generating and comparing`,
      );
    }
    await model.dispose();

    const half = await loadModel(folder, { device: "cpu", dtype: "bfloat16" });
    for (const [index, { name, score }] of (await swept(half)).entries()) {
      const expected = float32[index]?.score.perRow ?? [];
      const different = score.perRow.filter(({ exactMatch }, row) => exactMatch !== expected[row]?.exactMatch);
      t.ok(different.length <= rows / 100, `${name}: bfloat16 finds ${different.length} rows otherwise`);
    }
    await half.dispose();
  });
}
