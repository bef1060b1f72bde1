import type { PaperResult } from "attention-bypass";

/** How many of 100 samples are matched, and of 100 questions with four choices are answered. */
export type Counts = readonly [matched: number, answered: number];

export interface MadeUpModel {
  name: string;
  parameters?: number;
  /** Sizes that replace those of a small model of eight blocks. */
  config?: object;
  base?: Counts;
  /** By default attention in the first quarter carries the ability, and in the last the memorization. */
  first?: Counts;
  last?: Counts;
  lastMlps?: Counts;
  /** A late block by itself. */
  late?: Counts;
  /** How many of the first tokens of the control rows are right without and with attention of the last quarter. */
  control?: readonly [base: number, last: number];
  task?: string[];
  /** What is bypassed: the part and the mode. */
  settings?: readonly (readonly [part: "attention" | "mlp", mode: "short-circuit" | "zero"])[];
  /** The blocks that are bypassed by themselves. Defaults to all. */
  single?: readonly number[];
  suffixTokens?: number;
  prefixLength?: number;
}

export const rows = 100;
/** Spread over the rows, so that both halves of them have as many. */
const spread = (count: number) => Array.from({ length: rows }, (_, index) => (index * 37) % rows < count);
const suffixLength = 50;

function scores([matched, answered]: Counts, tasks: readonly string[], control?: number) {
  const perRow = (counts: boolean[]) =>
    counts.map((hit) => ({
      exactMatch: Number(hit),
      tokenAccuracy: hit ? 1 : 0.25,
      completionEntropy: hit ? 2 : 20,
      teacherForcedAccuracy: hit ? 1 : 0.5,
      suffixLogLikelihood: hit ? -1 : -50,
    }));
  const result = (counts: boolean[]) => ({ rows, perRow: perRow(counts) });
  const quiz = {
    questions: rows,
    truncated: 0,
    accuracy: answered / rows,
    standardErrors: { accuracy: 0.05 },
    perQuestion: spread(answered).map((correct) => ({
      logLikelihoods: [-1, -2, -3, -4],
      chosen: Number(!correct),
      correct,
    })),
  };
  return {
    memorization: result(spread(matched)),
    ...(control !== undefined && { control: result(spread(control)) }),
    tasks: Object.fromEntries(tasks.map((name) => [name, quiz])),
  };
}

function madeUpModel({
  name,
  parameters = 1e6,
  config = {},
  base = [80, 85],
  first = [0, 40],
  last = [10, 80],
  lastMlps = [60, 50],
  late = [40, 84],
  control,
  task = ["quiz"],
  settings = [
    ["attention", "zero"],
    ["mlp", "zero"],
  ],
  single,
  suffixTokens = suffixLength,
  prefixLength,
}: MadeUpModel) {
  const sizes = { family: "gpt-neox", blockCount: 8, headCount: 2, hiddenSize: 8, ...config };
  const { blockCount } = sizes;
  const quarterOf = (number: number) => {
    const [from, to] = [number - 1, number].map((end) => Math.floor((end * blockCount) / 4));
    return Array.from({ length: (to as number) - (from as number) }, (_, index) => (from as number) + index);
  };
  const controlled = (value: number) => (control === undefined ? undefined : value);
  const variants = settings.flatMap(([part, mode]) => {
    const suffix = part === "mlp" ? " MLP" : "";
    const inQuarter = { 1: first, 2: base, 3: base, 4: part === "mlp" ? lastMlps : last };
    return [
      ...(single ?? [...Array(blockCount).keys()]).map((block) => ({
        name: `block ${block}${suffix}`,
        kind: "block",
        part,
        blocks: [block],
        mode,
        ...scores(quarterOf(4).includes(block) ? late : base, task, controlled(control?.[0] ?? 0)),
      })),
      ...([1, 2, 3, 4] as const).map((quartile) => ({
        name: `quartile ${quartile}${suffix}`,
        kind: "quartile",
        quartile,
        part,
        blocks: quarterOf(quartile),
        mode,
        ...scores(inQuarter[quartile], task, controlled(control?.[quartile === 4 ? 1 : 0] ?? 0)),
      })),
    ];
  });
  const sweep = {
    base: scores(base, task, controlled(control?.[0] ?? 0)),
    variants,
    settings: {
      over: [],
      part: "attention",
      mode: settings.map(([, mode]) => mode),
      device: "cpu",
      dtype: "float32",
      model: { config: sizes, files: [] },
      samples: { rows, suffixTokens: rows * suffixTokens, sha256: "0", ...(prefixLength && { prefixLength }) },
      ...(control && { control: { rows, suffixTokens: rows * suffixTokens, sha256: "1" } }),
    },
    cost: { seconds: 1, operations: 1, memory: 1, node: "v20" },
  };
  return { name, model: `models/${name}`, parameters, sweep };
}

/** A result of `reproducePaper` that never was. */
export function madeUpPaper(...models: MadeUpModel[]): PaperResult {
  return { format: "attention-bypass paper, 1", models: models.map(madeUpModel) } as unknown as PaperResult;
}
