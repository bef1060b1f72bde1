import type { MemorizationResult } from "../metrics/memorization.js";
import type { SweepResult, SweepScores } from "./result.js";

/** Returns the name and value of each measurement. */
function measures({ memorization, control, perplexity, tasks = {} }: SweepScores): [name: string, value: number][] {
  const means = ({ rows: _, perRow: __, ...metrics }: Partial<MemorizationResult> = {}) =>
    Object.entries(metrics) as [string, number][];
  return [
    ...means(memorization),
    ...means(control).map(([name, value]): [string, number] => [`control ${name}`, value]),
    ...(perplexity ? ([["perplexity", perplexity.perplexity]] as [string, number][]) : []),
    ...Object.entries(tasks).map(([name, { accuracy }]): [string, number] => [name, accuracy]),
  ];
}

/**
 * Returns a header, then a row for the unmodified model and each variant: name, part, blocks, mode and measurements.
 */
export function sweepTable({ base, variants }: SweepResult): (string | number)[][] {
  const head = ["name", "part", "blocks", "mode", ...measures(base).map(([name]) => name)];
  const line = (name: string, part: string, blocks: readonly number[], mode: string, scores: SweepScores) => [
    name,
    part,
    blocks.join(" "),
    mode,
    ...measures(scores).map(([, value]) => value),
  ];
  return [
    head,
    line("base", "", [], "", base),
    ...variants.map((variant) => line(variant.name, variant.part, variant.blocks, variant.mode, variant)),
  ];
}
