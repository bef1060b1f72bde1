import type { BypassPart } from "../bypass/bypass.js";
import type { MemorizationMetric } from "../metrics/memorization.js";
import { difference, toInterval } from "../statistics/bootstrap.js";
import type { SweepResult, SweptVariant } from "../sweep/result.js";
import type { Drop, Drops } from "./drops.js";
import type { DeepBlocksComparison, DeepBlocksMetric } from "./result.js";

/** Returns the bypasses of one part of the deep blocks: the last quarter, else the single blocks of the second half. */
function deepBypasses({ variants, settings }: SweepResult, part: BypassPart, mode: string) {
  const all = variants.filter((variant) => variant.part === part && variant.mode === mode);
  const quartile = all.find((variant) => variant.quartile === 4);
  if (quartile) return { over: "quartile" as const, bypasses: [quartile] };
  const half = settings.model.config.blockCount / 2;
  const single = all.filter(({ kind, blocks: [block = 0] }) => kind === "block" && block >= half);
  return { over: "blocks" as const, bypasses: single };
}

const blocksOf = (bypasses: readonly SweptVariant[]) => bypasses.flatMap(({ blocks }) => blocks).sort((a, b) => a - b);

/** Ranks the deep blocks among random sets of as many blocks. */
function rank(deep: Drop, sets: readonly Drop[]): DeepBlocksMetric["random"] {
  if (sets.length === 0) return undefined;
  const above = sets.filter(({ selectivity }) => selectivity.value >= deep.selectivity.value);
  return {
    sets: sets.length,
    atLeast: above.length,
    atLeastWithoutMoreLoss: above.filter(({ control }) => control.value <= deep.control.value).length,
    rankProbability: (1 + above.length) / (1 + sets.length),
  };
}

/** Compares the attention of the deep blocks with the MLPs of the same blocks and with random sets of as many blocks. */
export function compareDeepBlocks(
  sweep: SweepResult,
  drops: Drops,
  metrics: readonly MemorizationMetric[],
): DeepBlocksComparison[] {
  const modes = [...new Set(sweep.variants.map(({ mode }) => mode))];
  return modes.flatMap((mode): DeepBlocksComparison[] => {
    const { over, bypasses: attention } = deepBypasses(sweep, "attention", mode);
    const blocks = blocksOf(attention);
    if (attention.length === 0) return [];
    const { bypasses: mlps } = deepBypasses(sweep, "mlp", mode);
    const comparable = blocksOf(mlps).join() === blocks.join() && mlps.length === attention.length;
    const randomSets = sweep.variants.filter(
      (variant) =>
        variant.kind === "random" &&
        variant.part === "attention" &&
        variant.mode === mode &&
        over === "quartile" &&
        variant.blocks.length === blocks.length &&
        variant.blocks.join() !== blocks.join(),
    );
    const compare = (metric: MemorizationMetric): DeepBlocksMetric => {
      const ours = drops.of(attention, metric);
      const theirs = comparable ? drops.of(mlps, metric) : undefined;
      const random = rank(
        ours,
        randomSets.map((variant) => drops.of([variant], metric)),
      );
      return {
        attention: drops.toSelectivity(ours, metric),
        ...(theirs && {
          mlp: {
            ...drops.toSelectivity(theirs, metric),
            difference: toInterval(difference(ours.selectivity, theirs.selectivity)),
          },
        }),
        ...(random && { random }),
      };
    };
    return [{ mode, over, blocks, metrics: Object.fromEntries(metrics.map((metric) => [metric, compare(metric)])) }];
  });
}
