import type { Bootstrap } from "../statistics/bootstrap.js";
import type { SweepResult, SweepScores, SweptVariant } from "../sweep/result.js";
import { type RemainingShares, relativeToBase, singleBlock } from "./remaining.js";
import { type Setting, sameSetting } from "./setting.js";

/** Returns every second row and question, from `from` on. The means of a half are not used, so they are left out. */
function half<Scores extends SweepScores>({ memorization, tasks = {}, ...rest }: Scores, from: 0 | 1): Scores {
  const everySecond = <Value>(values: readonly Value[]) => values.filter((_, index) => index % 2 === from);
  return {
    ...rest,
    ...(memorization && { memorization: { perRow: everySecond(memorization.perRow) } }),
    tasks: Object.fromEntries(
      Object.entries(tasks).map(([name, task]) => [name, { ...task, perQuestion: everySecond(task.perQuestion) }]),
    ),
  } as unknown as Scores;
}

/** Whether both halves have rows and questions. */
const divisible = ({ memorization, tasks = {} }: SweepScores) =>
  [memorization?.perRow ?? [], ...Object.values(tasks).map(({ perQuestion }) => perQuestion)].every(
    (rows) => rows.length > 1,
  );

/** Returns the variants of one setting that bypass one block of the last quarter. */
export function lastQuarter(variants: readonly SweptVariant[]): SweptVariant[] {
  const late = variants.find(({ quartile }) => quartile === 4)?.blocks ?? [];
  return variants.filter((variant) => late.includes(singleBlock(variant) ?? -1));
}

/** How much more ability than memorization remains. Without ability, how little memorization remains. */
const gain = ({ memorization, ability }: RemainingShares) => (ability?.value ?? 0) - (memorization?.value ?? 0);

/**
 * Returns what remains under the block of the last quarter that, by itself, removes memorization at the least cost of
 * ability. The block is chosen on one half of the rows and questions and measured on the other, because the best of
 * several blocks is overestimated on the rows that it is chosen on. Undefined if there are too few rows, or if the model
 * has not memorized them.
 */
export function lateBlock(
  { base, variants }: SweepResult,
  setting: Setting,
  bootstrap: Bootstrap,
): RemainingShares | undefined {
  const single = lastQuarter(variants.filter(sameSetting(setting)));
  if (single.length === 0 || !divisible(base)) return undefined;
  const [chosenOn, measuredOn] = ([0, 1] as const).map((from) =>
    relativeToBase({ base: half(base, from), variants: single.map((variant) => half(variant, from)) }, bootstrap),
  );
  const [best] = (chosenOn?.bypasses ?? [])
    .map((one, index) => ({ gain: gain(one), index }))
    .toSorted((one, other) => other.gain - one.gain);
  const found = measuredOn?.bypasses[best?.index ?? 0];
  return chosenOn?.bypasses[0]?.memorization && found?.memorization ? found : undefined;
}
