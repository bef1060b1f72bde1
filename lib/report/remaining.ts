import type { TaskScores } from "../benchmark/task.js";
import type { MemorizationMetric } from "../metrics/memorization.js";
import { Bootstrap, type Interval, type Table } from "../statistics/bootstrap.js";
import { mean } from "../statistics/statistics.js";
import type { SweepResult, SweepScores, SweptVariant } from "../sweep/result.js";
import type { Variant } from "../sweep/variants.js";

/**
 * The memorization and ability that remain under a bypass, as shares of the unmodified model's: 1 if nothing is lost.
 */
export interface RemainingShares {
  variant: SweptVariant;
  /** The remaining share of the memorization metric. Absent if the unmodified model's is 0 or was not measured. */
  memorization?: Interval;
  /**
   * The remaining share of the accuracy above chance, a mean over the tasks in `aboveChance`. Absent if there are none.
   */
  ability?: Interval;
  /** The remaining share of the accuracy above chance for each of these tasks. */
  tasks: { name: string; remaining: Interval }[];
  /** The values that the shares are computed from, to compare two sweeps. */
  tables: { memorization: Table[]; ability: Table[] };
}

/** The results of a sweep relative to its base. */
export interface RelativeResult {
  /** The metric that is shown as memorization. Absent if none was measured. */
  metric?: MemorizationMetric;
  /** The names of the tasks on which the unmodified model is above chance at 95 %. */
  aboveChance: string[];
  /** The names of the other tasks. */
  notAboveChance: string[];
  /** The remaining shares under each bypass, in the order of the sweep's variants. */
  bypasses: RemainingShares[];
}

/** The metrics that can be shown as memorization, the preferred first. Each is 0 if nothing is memorized. */
const metrics = [
  "exactMatch",
  "tokenAccuracy",
  "teacherForcedAccuracy",
  "extractableLength",
  "extractionProbability",
] as const satisfies readonly MemorizationMetric[];

/** Returns the first of `metrics` that was measured. */
export function memorizationMetric({ memorization }: SweepScores): MemorizationMetric | undefined {
  return metrics.find((metric) => memorization?.perRow[0]?.[metric] !== undefined);
}

/** Returns the values of a metric, one for each row. */
export function rowValues({ memorization }: SweepScores, metric: MemorizationMetric): number[] {
  return memorization?.perRow.map((row) => row[metric]) ?? [];
}

/** Returns 1 for each right answer and 0 for each wrong one. */
export function answers({ perQuestion }: TaskScores): number[] {
  return perQuestion.map(({ correct }) => Number(correct));
}

/**
 * Returns for each question the probability of a right answer by chance: 1 / choices, or 0 with only one continuation.
 */
export function chances({ perQuestion }: TaskScores): number[] {
  return perQuestion.map(({ logLikelihoods, chosen }) => (chosen === undefined ? 0 : 1 / logLikelihoods.length));
}

/** Returns (bypassed - chance) / (base - chance), the share of a mean above chance that remains under a bypass. */
export const remainingShare = ([base, bypassed, chance = 0]: readonly number[]): number =>
  ((bypassed as number) - chance) / ((base as number) - chance);

/** Returns the mean of that share over tables. */
export const meanRemaining = (means: readonly (readonly number[])[]): number => mean(means.map(remainingShare));

/** Returns whether the accuracy on a task is above chance at 95 %. */
function isAboveChance(task: TaskScores, bootstrap: Bootstrap): boolean {
  const above = ([accuracy, chance]: number[]) => (accuracy as number) - (chance as number);
  return bootstrap.interval([[answers(task), chances(task)]], ([means]) => above(means as number[])).low > 0;
}

/** Returns the memorization of each row without and with the bypass. Undefined if the unmodified model's mean is 0. */
function memorizationTable(base: SweepScores, bypassed: SweepScores): Table | undefined {
  const metric = memorizationMetric(base);
  if (metric === undefined) return undefined;
  const before = rowValues(base, metric);
  return mean(before) > 0 ? [before, rowValues(bypassed, metric)] : undefined;
}

/**
 * Returns for each task whether each question is answered right without and with the bypass, and the probability by
 * chance.
 */
function abilityTables(base: SweepScores, bypassed: SweepScores, taskNames: readonly string[]): Table[] {
  return taskNames.map((name) => {
    const task = base.tasks?.[name] as TaskScores;
    return [answers(task), answers(bypassed.tasks?.[name] as TaskScores), chances(task)];
  });
}

/** Computes the remaining shares under each bypass, with intervals that pair rows and questions. */
export function relativeToBase(
  { base, variants }: Pick<SweepResult, "base" | "variants">,
  bootstrap = new Bootstrap(),
): RelativeResult {
  const metric = memorizationMetric(base);
  const tasks = Object.entries(base.tasks ?? {});
  const aboveChance = tasks.filter(([, task]) => isAboveChance(task, bootstrap)).map(([name]) => name);
  const bypasses = variants.map((variant): RemainingShares => {
    const memorization = memorizationTable(base, variant);
    const ability = abilityTables(base, variant, aboveChance);
    return {
      variant,
      ...(memorization && { memorization: bootstrap.interval([memorization], meanRemaining) }),
      ...(aboveChance.length > 0 && { ability: bootstrap.interval(ability, meanRemaining) }),
      tasks: ability.map((table, index) => ({
        name: aboveChance[index] as string,
        remaining: bootstrap.interval([table], meanRemaining),
      })),
      tables: { memorization: memorization ? [memorization] : [], ability },
    };
  });
  return {
    ...(metric && { metric }),
    aboveChance,
    notAboveChance: tasks.map(([name]) => name).filter((name) => !aboveChance.includes(name)),
    bypasses,
  };
}

/** Returns the block number of a variant that bypasses one block, and undefined for others. */
export function singleBlock({ kind, blocks }: Variant): number | undefined {
  return kind === "block" ? blocks[0] : undefined;
}

/** Returns the block and head number of a variant that bypasses one head, and undefined for others. */
export function singleHead({ kind, heads = {} }: Variant): { block: number; head: number } | undefined {
  const [block, numbers] = Object.entries(heads)[0] ?? ["", []];
  const [head] = numbers;
  return kind === "head" && head !== undefined ? { block: Number(block), head } : undefined;
}

/** Returns the quarter of the blocks, from 1, of a variant that bypasses one, and undefined for others. */
export const quartileOf = ({ quartile }: Variant): number | undefined => quartile;

/** Returns the part and mode of a variant as the title of a panel: "zero", "MLP, mean" or "attention and MLP, zero". */
export function panelOf({ part, mode }: Pick<Variant, "part" | "mode">): string {
  if (part === "attention") return mode;
  return `${part === "mlp" ? "MLP" : "attention and MLP"}, ${mode}`;
}
