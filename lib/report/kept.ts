import type { TaskScores } from "../benchmark/task.js";
import type { MemorizationMetric } from "../metrics/memorization.js";
import { Bootstrap, type Interval, type Table } from "../statistics/bootstrap.js";
import { mean } from "../statistics/statistics.js";
import type { SweepResult, SweepScores, SweptVariant } from "../sweep/result.js";

/** What a bypass leaves of the unmodified model, as shares of what that one has: 1 where nothing is lost. */
export interface Kept {
  variant: SweptVariant;
  /** Of the memorization metric; not there where the unmodified model has none to lose. */
  memorization?: Interval;
  /** Of accuracy above chance, the mean over the tasks that the unmodified model can do. */
  ability?: Interval;
  /** The same of each such task. */
  tasks: { name: string; kept: Interval }[];
  /** What the shares are of, for whoever compares them further. */
  tables: { memorization: Table[]; ability: Table[] };
}

/** A sweep's results next to its base. */
export interface Relative {
  /** What stands for memorization. */
  metric?: MemorizationMetric;
  /** The tasks on which the unmodified model is above chance at 95 %, and the others. */
  able: string[];
  unable: string[];
  kept: Kept[];
}

/** What can stand for memorization, the best first: more of it is more memorized, and nothing is 0. */
const metrics = [
  "exactMatch",
  "tokenAccuracy",
  "teacherForcedAccuracy",
  "extractableLength",
  "extractionProbability",
] as const satisfies readonly MemorizationMetric[];

export function memorizationMetric({ memorization }: SweepScores): MemorizationMetric | undefined {
  return metrics.find((metric) => memorization?.perRow[0]?.[metric] !== undefined);
}

export function rowValues({ memorization }: SweepScores, metric: MemorizationMetric): number[] {
  return memorization?.perRow.map((row) => row[metric]) ?? [];
}

export function answers({ perQuestion }: TaskScores): number[] {
  return perQuestion.map(({ correct }) => Number(correct));
}

/** The probability of each right answer by chance: of one of several choices, and of a continuation none. */
export function chances({ perQuestion }: TaskScores): number[] {
  return perQuestion.map(({ logLikelihoods, chosen }) => (chosen === undefined ? 0 : 1 / logLikelihoods.length));
}

/** Of means of the unmodified model, of a bypass and of chance: the share of what is above chance that is left. */
export const shareKept = ([base, bypassed, chance = 0]: readonly number[]): number =>
  ((bypassed as number) - chance) / ((base as number) - chance);

/** The mean over tables of that share. */
export const meanKept = (means: readonly (readonly number[])[]): number => mean(means.map(shareKept));

function isAble(task: TaskScores, bootstrap: Bootstrap): boolean {
  const above = ([accuracy, chance]: number[]) => (accuracy as number) - (chance as number);
  return bootstrap.interval([[answers(task), chances(task)]], ([means]) => above(means as number[])).low > 0;
}

/** Memorization of each row, without a bypass and with one; undefined where there is none to lose. */
function memorizationTable(base: SweepScores, bypassed: SweepScores): Table | undefined {
  const metric = memorizationMetric(base);
  if (metric === undefined) return undefined;
  const before = rowValues(base, metric);
  return mean(before) > 0 ? [before, rowValues(bypassed, metric)] : undefined;
}

/** For each task whether each question is answered, without a bypass and with one, and what chance gives. */
function abilityTables(base: SweepScores, bypassed: SweepScores, able: readonly string[]): Table[] {
  return able.map((name) => {
    const task = base.tasks?.[name] as TaskScores;
    return [answers(task), answers(bypassed.tasks?.[name] as TaskScores), chances(task)];
  });
}

/** Each bypass next to the unmodified model, row by row and question by question. */
export function relativeToBase({ base, variants }: SweepResult): Relative {
  const bootstrap = new Bootstrap();
  const metric = memorizationMetric(base);
  const tasks = Object.entries(base.tasks ?? {});
  const able = tasks.filter(([, task]) => isAble(task, bootstrap)).map(([name]) => name);
  const kept = variants.map((variant): Kept => {
    const memorization = memorizationTable(base, variant);
    const ability = abilityTables(base, variant, able);
    return {
      variant,
      ...(memorization && { memorization: bootstrap.interval([memorization], meanKept) }),
      ...(able.length > 0 && { ability: bootstrap.interval(ability, meanKept) }),
      tasks: ability.map((table, index) => ({
        name: able[index] as string,
        kept: bootstrap.interval([table], meanKept),
      })),
      tables: { memorization: memorization ? [memorization] : [], ability },
    };
  });
  return {
    ...(metric && { metric }),
    able,
    unable: tasks.map(([name]) => name).filter((name) => !able.includes(name)),
    kept,
  };
}

/** The number of the block, of a variant that bypasses a single one. */
export function singleBlock({ kind, blocks }: SweptVariant): number | undefined {
  return kind === "block" ? blocks[0] : undefined;
}

/** The block and number of the head, of a variant that bypasses a single one. */
export function singleHead({ kind, heads = {} }: SweptVariant): { block: number; head: number } | undefined {
  const [block, numbers] = Object.entries(heads)[0] ?? ["", []];
  const [head] = numbers;
  return kind === "head" && head !== undefined ? { block: Number(block), head } : undefined;
}

/** The number of the quarter of the stack, from 1, of a variant that bypasses one. */
export const quartileOf = ({ quartile }: SweptVariant): number | undefined => quartile;

/** What a variant replaces and by what, in the words of a panel's title: "zero", "MLP, mean" or "attention and MLP, zero". */
export function panelOf({ part, mode }: Pick<SweptVariant, "part" | "mode">): string {
  if (part === "attention") return mode;
  return `${part === "mlp" ? "MLP" : "attention and MLP"}, ${mode}`;
}
