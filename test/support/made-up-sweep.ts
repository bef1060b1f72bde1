import type { BypassMode, SweepResult, SweepScores, SweptVariant } from "attention-bypass";

/** How many of 100 samples are matched and of 100 questions with four choices are answered. */
export type Counts = [matched: number, answered: number];

const rows = 100;

function scores([matched, answered]: Counts, perplexity: number) {
  const upTo = (count: number) => Array.from({ length: rows }, (_, index) => index < count);
  return {
    memorization: {
      rows,
      exactMatch: matched / rows,
      perRow: upTo(matched).map((hit) => ({ exactMatch: Number(hit) })),
    },
    perplexity: { perplexity, tokenCount: 1000 },
    tasks: {
      quiz: {
        questions: rows,
        accuracy: answered / rows,
        standardErrors: { accuracy: 0.05 },
        perQuestion: upTo(answered).map((correct) => ({
          logLikelihoods: [-1, -2, -3, -4],
          chosen: Number(!correct),
          correct,
        })),
      },
    },
  };
}

function settings(blockCount: number) {
  const config = { family: "gpt-neox", blockCount, headCount: 2, hiddenSize: 8 };
  const tasks = [{ name: "quiz", group: "reasoning", questions: rows, sha256: "0" }];
  return { over: "blocks", mode: "zero", device: "cpu", dtype: "float32", model: { config, files: [] }, tasks };
}

/** The result of a sweep of single blocks and of quartiles, that never was. */
export function madeUpSweep(
  base: Counts,
  blocks: readonly Counts[],
  quartiles: readonly Counts[] = [],
  mode: BypassMode = "zero",
): SweepResult {
  const survey = (first: number) => ({
    blocks: blocks.slice(first).map((_, index) => ({ block: first + index, distance: 0.5, bound: 2 ** index })),
    output: { divergence: 0.25, bound: 4, topTokenChanged: 0.125, topTokenProvenUnchanged: 0 },
  });
  const variants = [
    ...blocks.map((counts, block) => ({
      name: `block ${block}`,
      kind: "block" as const,
      part: "attention" as const,
      blocks: [block],
      mode,
      ...scores(counts, 10 + block),
      divergence: survey(block),
    })),
    ...quartiles.map((counts, index) => ({
      name: `quartile ${index + 1}`,
      kind: "quartile" as const,
      quartile: (index + 1) as 1 | 2 | 3 | 4,
      part: "attention" as const,
      blocks: [index],
      mode,
      ...scores(counts, 20 + index),
    })),
  ] as unknown as SweptVariant[];
  const attention = blocks.map((_, block) => ({ share: 0.5 / (block + 1), heads: [0.25, 0.125] }));
  const result = { base: scores(base, 9), variants, attention, settings: settings(blocks.length) };
  return result as unknown as SweepResult;
}

const controlRows = 40;

/**
 * Adds control rows that are never matched, and teacher-forced accuracies: of memorized rows 1 if matched and else 0.5,
 * of control rows near what `accuracy` returns for the name of a bypass, or for "none".
 */
export function withControl(sweep: SweepResult, accuracy: (name: string) => number): SweepResult {
  const add = <Scores extends SweepScores>(scores: Scores, name: string): Scores => ({
    ...scores,
    memorization: {
      ...scores.memorization,
      perRow: scores.memorization?.perRow.map((row) => ({
        ...row,
        teacherForcedAccuracy: row.exactMatch === 1 ? 1 : 0.5,
      })),
    },
    control: {
      rows: controlRows,
      exactMatch: 0,
      perRow: Array.from({ length: controlRows }, (_, row) => ({
        exactMatch: 0,
        teacherForcedAccuracy: accuracy(name) + (row % 2 === 0 ? 0.02 : -0.02),
      })),
    },
  });
  const samples = { rows, suffixTokens: 10 * rows, sha256: "0" };
  const control = { rows: controlRows, suffixTokens: 10 * controlRows, sha256: "1" };
  return {
    ...sweep,
    base: add(sweep.base, "none"),
    variants: sweep.variants.map((variant) => add(variant, variant.name)),
    settings: { ...sweep.settings, samples, control } as unknown as SweepResult["settings"],
  };
}
