import { recommend } from "../recommend/recommend.js";
import { recommendationSentences } from "../recommend/sentences.js";
import { mean } from "../statistics/statistics.js";
import type { SweepResult } from "../sweep/result.js";
import type { Variant } from "../sweep/variants.js";
import { type Kept, panelOf, quartileOf, type Relative, singleBlock } from "./kept.js";
import { memorizationInterval, metricNames, percent, withInterval } from "./tables.js";

function unmodified({ base }: SweepResult, { metric, able, unable }: Relative): string[] {
  const memorization = memorizationInterval(base);
  const rows = base.memorization?.perRow.length;
  const share = metric === "extractableLength" ? undefined : memorization;
  return [
    ...(share && metric
      ? [`Unmodified, the model's ${metricNames[metric]} is ${withInterval(share)} over ${rows} samples.`]
      : []),
    ...(able.length > 0 ? [`It does better than chance at ${able.join(", ")}.`] : []),
    ...(unable.length > 0
      ? [
          `That it does better than chance at ${unable.join(", ")} is not certain at 95 %, so what a bypass keeps is not counted there.`,
        ]
      : []),
  ];
}

const partWords: Readonly<Record<Variant["part"], string>> = {
  attention: "attention",
  mlp: "MLPs",
  both: "attention and MLPs",
};

/** Two parts of the stack next to each other, by what is left without that part of each. */
function compareDepths(
  early: readonly Kept[],
  late: readonly Kept[],
  names: [string, string],
  { part, mode }: Pick<Variant, "part" | "mode">,
): string[] {
  const what = partWords[part];
  const share = (kept: readonly Kept[], what: "memorization" | "ability") =>
    mean(kept.map((one) => one[what]?.value ?? Number.NaN));
  const first = { memorization: share(early, "memorization"), ability: share(early, "ability") };
  const last = { memorization: share(late, "memorization"), ability: share(late, "ability") };
  if (![first, last].every(({ memorization, ability }) => Number.isFinite(memorization + ability))) return [];
  const more = (yes: boolean) => (yes ? "more" : "no more");
  return [
    `In mode ${mode}, without the ${what} of ${names[1]} it keeps ${percent(last.memorization)} of its memorization and ` +
      `${percent(last.ability)} of its ability; without that of ${names[0]}, ${percent(first.memorization)} and ` +
      `${percent(first.ability)}. Here the deep blocks' ${what} carries ${more(last.ability > last.memorization)} of what ` +
      `was memorized than of what the model can do, and the early blocks' ${what} carries ` +
      `${more(first.ability < last.ability)} of what it can do than the deep blocks'.`,
  ];
}

function depths({ kept }: Relative, { settings }: SweepResult): string[] {
  const panels = new Map(kept.map(({ variant }) => [panelOf(variant), variant]));
  return [...panels.values()].flatMap(({ part, mode }) => {
    const own = kept.filter(({ variant }) => variant.part === part && variant.mode === mode);
    const quarter = (number: number) => own.filter(({ variant }) => quartileOf(variant) === number);
    if (quarter(1).length > 0 && quarter(4).length > 0) {
      return compareDepths(quarter(1), quarter(4), ["its first quarter of blocks", "its last quarter of blocks"], {
        part,
        mode,
      });
    }
    const half = settings.model.config.blockCount / 2;
    const single = own.filter(({ variant }) => singleBlock(variant) !== undefined);
    const early = single.filter(({ variant }) => (singleBlock(variant) as number) < half);
    const late = single.filter(({ variant }) => (singleBlock(variant) as number) >= half);
    if (early.length === 0 || late.length === 0) return [];
    return compareDepths(early, late, ["one block of its first half (mean)", "one block of its second half (mean)"], {
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

/** What was found, in sentences that are computed: they say it too where the paper's finding does not show. */
export function findings(result: SweepResult, relative: Relative): string[] {
  return [unmodified(result, relative).join(" "), ...depths(relative, result), ...recommended(result)].filter(Boolean);
}
