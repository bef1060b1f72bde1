import { recommend } from "../recommend/recommend.js";
import { recommendationSentences } from "../recommend/sentences.js";
import type { Selectivity } from "../selectivity/result.js";
import { selectivitySentences } from "../selectivity/sentences.js";
import { mean } from "../statistics/statistics.js";
import type { SweepResult } from "../sweep/result.js";
import type { Variant } from "../sweep/variants.js";
import { panelOf, quartileOf, type RelativeResult, type RemainingShares, singleBlock } from "./remaining.js";
import { memorizationInterval, metricNames, percent, withInterval } from "./tables.js";

function unmodified({ base }: SweepResult, { metric, aboveChance, notAboveChance }: RelativeResult): string[] {
  const memorization = memorizationInterval(base);
  const rows = base.memorization?.perRow.length;
  const share = metric === "extractableLength" ? undefined : memorization;
  return [
    ...(share && metric
      ? [`The unmodified model's ${metricNames[metric]} is ${withInterval(share)} over ${rows} samples.`]
      : []),
    ...(aboveChance.length > 0 ? [`The unmodified model is above chance at 95 % on ${aboveChance.join(", ")}.`] : []),
    ...(notAboveChance.length > 0
      ? [
          `The unmodified model is not above chance at 95 % on ${notAboveChance.join(", ")}, so ability does not include ` +
            `${notAboveChance.length === 1 ? "this task" : "these tasks"}.`,
        ]
      : []),
  ];
}

const partWords: Readonly<Record<Variant["part"], string>> = {
  attention: "attention",
  mlp: "MLPs",
  both: "attention and MLPs",
};

/** Compares the mean remaining shares of bypasses of early blocks with those of late blocks. */
function compareDepths(
  early: readonly RemainingShares[],
  late: readonly RemainingShares[],
  names: [string, string],
  { part, mode }: Pick<Variant, "part" | "mode">,
): string[] {
  const words = partWords[part];
  const share = (bypasses: readonly RemainingShares[], what: "memorization" | "ability") =>
    mean(bypasses.map((one) => one[what]?.value ?? Number.NaN));
  const first = { memorization: share(early, "memorization"), ability: share(early, "ability") };
  const last = { memorization: share(late, "memorization"), ability: share(late, "ability") };
  if (![first, last].every(({ memorization, ability }) => Number.isFinite(memorization + ability))) return [];
  const removes = (more: boolean) => (more ? "removes more" : "does not remove more");
  return [
    `In mode ${mode}, bypassing the ${words} of ${names[1]} leaves ${percent(last.memorization)} of the memorization and ` +
      `${percent(last.ability)} of the ability. Bypassing the ${words} of ${names[0]} leaves ${percent(first.memorization)} ` +
      `and ${percent(first.ability)}. In this sweep, bypassing the deep blocks ${removes(last.ability > last.memorization)} ` +
      `memorization than ability, and bypassing the early blocks ${removes(first.ability < last.ability)} ability than ` +
      "bypassing the deep blocks.",
  ];
}

function depths({ bypasses }: RelativeResult, { settings }: SweepResult): string[] {
  const panels = new Map(bypasses.map(({ variant }) => [panelOf(variant), variant]));
  return [...panels.values()].flatMap(({ part, mode }) => {
    const inPanel = bypasses.filter(({ variant }) => variant.part === part && variant.mode === mode);
    const quarter = (number: number) => inPanel.filter(({ variant }) => quartileOf(variant) === number);
    if (quarter(1).length > 0 && quarter(4).length > 0) {
      return compareDepths(
        quarter(1),
        quarter(4),
        ["the first quarter of the blocks", "the last quarter of the blocks"],
        {
          part,
          mode,
        },
      );
    }
    const half = settings.model.config.blockCount / 2;
    const single = inPanel.filter(({ variant }) => singleBlock(variant) !== undefined);
    const early = single.filter(({ variant }) => (singleBlock(variant) as number) < half);
    const late = single.filter(({ variant }) => (singleBlock(variant) as number) >= half);
    if (early.length === 0 || late.length === 0) return [];
    return compareDepths(early, late, ["one block of the first half (mean)", "one block of the second half (mean)"], {
      part,
      mode,
    });
  });
}

function recommended(result: SweepResult): string[] {
  const { base } = result;
  if (base.memorization?.perRow[0]?.exactMatch === undefined || base.tasks === undefined) return [];
  return [recommendationSentences(recommend(result)).join(" ")];
}

/** Returns the findings of a sweep as sentences, whether or not they agree with the paper's. */
export function findings(
  result: SweepResult,
  relative: RelativeResult,
  selectivity: Selectivity | undefined,
): string[] {
  return [
    unmodified(result, relative).join(" "),
    ...depths(relative, result),
    ...(selectivity ? selectivitySentences(selectivity) : []),
    ...recommended(result),
  ].filter(Boolean);
}
