// Memorization of a trained model, for the base and each block alone in both modes: the sweep against the reference sweep
// of Hugging Face, against generating and comparing with this package's own generate, and against itself in bfloat16.
import { readFileSync } from "node:fs";
import path from "node:path";
import { type Bypass, type BypassMode, loadModel, type Model, type SweepResult } from "attention-bypass";
import { parse as parseNpy } from "npyjs";
import t, { type Test } from "tap";
import { shared, skipReason } from "./shared.ts";

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

/** bfloat16 is slow on many processors, so that it is compared on one row of so many. */
const bfloat16Stride = 6;

/** Two test files run at a time, so that each has one core. */
const here = { device: "cpu", threads: 1 } as const;

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
  const generations = await model.generate(
    rows.map((row) => row.slice(0, prefixLength)),
    {
      maxNewTokens: (rows[0] as number[]).length - prefixLength,
      stopAtEndOfText: false,
      ...(bypass && { bypass }),
    },
  );
  return generations.map(({ tokens }, index) => {
    const suffix = (rows[index] as number[]).slice(prefixLength);
    const right = tokens.filter((token, position) => token === suffix[position]).length;
    return { exactMatch: right === suffix.length ? 1 : 0, tokenAccuracy: right / suffix.length };
  });
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

function readReferences(folder: string): Record<BypassMode, ReferenceSweep> {
  const read = (mode: string) => JSON.parse(readFileSync(path.join(folder, `sweep.${mode}.json`), "utf8"));
  return Object.fromEntries(["zero", "short-circuit"].map((mode) => [mode, read(mode)])) as Record<
    BypassMode,
    ReferenceSweep
  >;
}

async function compare(t: Test, folder: string) {
  const references = readReferences(folder);
  const { rows: count, prefix_length: prefixLength } = references.zero;
  const file = path.join(folder, "memorized.npy");
  const rows = readRows(file, count);

  const model = await loadModel(folder, { ...here, dtype: "float32" });
  const { blockCount } = model.config;
  const options = { prefixLength, metrics, mode: ["zero", "short-circuit"] } as const;
  const float32 = measurements(await model.sweep({ ...options, samples: file, rows: count }));
  t.equal(float32.length, 1 + 2 * blockCount, "the base, and each block in both modes");
  for (const [index, { name, score, bypass }] of float32.entries()) {
    const theirs = bypass ? references[bypass.mode].blocks[Number(bypass.blocks[0])] : references.zero.base;
    const { exact_match, token_accuracy, completion_entropy } = theirs as SweepScores;
    t.equal(score.rows, count);
    t.ok(Math.abs(score.exactMatch - exact_match) <= 0.01, `${name}: exact match`);
    t.ok(Math.abs(score.tokenAccuracy - token_accuracy) <= 0.01, `${name}: token accuracy`);
    t.ok(Math.abs(score.completionEntropy / completion_entropy - 1) <= 1e-3, `${name}: completion entropy`);
    // The reference has means only. Each variant generates another share of the rows, a mode's blocks together all.
    const share = rows.map((_, row) => row).filter((row) => row % blockCount === index % blockCount);
    t.same(
      share.map((row) => {
        const { exactMatch, tokenAccuracy } = score.perRow[row] ?? {};
        return { exactMatch, tokenAccuracy };
      }),
      await generateAndCompare(
        model,
        share.map((row) => rows[row] as number[]),
        prefixLength,
        bypass,
      ),
      `${name}: generating and comparing`,
    );
  }
  await model.dispose();

  const half = await loadModel(folder, { ...here, dtype: "bfloat16" });
  const samples = rows.filter((_, row) => row % bfloat16Stride === 0);
  let different = 0;
  for (const [index, { name, score }] of measurements(await half.sweep({ ...options, samples })).entries()) {
    const expected = float32[index]?.score.perRow ?? [];
    t.equal(score.perRow.length, samples.length);
    const others = score.perRow.filter((one, row) => one.exactMatch !== expected[row * bfloat16Stride]?.exactMatch);
    t.ok(others.length <= 1, `${name}: bfloat16 finds ${others.length} of ${samples.length} rows otherwise`);
    different += others.length;
  }
  const compared = samples.length * float32.length;
  t.ok(different <= compared / 100, `bfloat16 finds ${different} of ${compared} rows otherwise`);
  await half.dispose();
}

/** Compares all this for a model of the shared data. */
export function testStudy(name: string): void {
  t.setTimeout(1_200_000);
  const folder = shared("study", name);
  t.test(name, { skip: folder === undefined && skipReason }, (t) => compare(t, folder as string));
}
