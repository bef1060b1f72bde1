// Selectivity: drops on memorized rows and on control rows, by a bootstrap written out here, and the sentences about them.
import { inspect } from "node:util";
import { AttentionBypassError, type Selectivity, type SweepResult, selectivity } from "attention-bypass";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import t, { type Test } from "tap";

interface Row {
  exactMatch: number;
  teacherForcedAccuracy: number;
  suffixLogLikelihood: number;
}

type Scores = { memorized: Row[]; control: Row[] };

interface Bypassed {
  scores: Scores;
  kind?: string;
  part?: string;
  quartile?: number;
  blocks?: number[];
}

const memorizedCount = 30;
const controlCount = 20;
const suffix = { memorized: 10, control: 8 };

/** Rows whose accuracies and log-likelihoods per token spread around means. */
function rowsOf(count: number, accuracy: number, perToken: number, length: number): Row[] {
  return Array.from({ length: count }, (_, index) => {
    const off = ((index * 7) % count) / count - (count - 1) / (2 * count);
    return {
      exactMatch: accuracy > 0.95 ? 1 : 0,
      teacherForcedAccuracy: Math.min(1, Math.max(0, accuracy + 0.2 * off)),
      suffixLogLikelihood: Math.min(0, length * (perToken + 0.5 * off)),
    };
  });
}

const scoresOf = (memorized: [number, number], control: [number, number]): Scores => ({
  memorized: rowsOf(memorizedCount, ...memorized, suffix.memorized),
  control: rowsOf(controlCount, ...control, suffix.control),
});

function sweepOf(base: Scores, bypasses: Bypassed[], mode = "zero"): SweepResult {
  const results = ({ memorized, control }: Scores) => ({
    memorization: { rows: memorizedCount, perRow: memorized },
    control: { rows: controlCount, perRow: control },
  });
  const size = (rows: number, length: number) => ({ rows, suffixTokens: rows * length, sha256: "0" });
  const config = { family: "gpt-neox", blockCount: 4, headCount: 2, hiddenSize: 8 };
  const variants = bypasses.map(({ scores, kind = "block", part = "attention", quartile, blocks = [3] }) => ({
    name: `${kind} ${quartile ?? blocks} ${part}`,
    kind,
    ...(quartile !== undefined && { quartile }),
    part,
    blocks,
    mode,
    ...results(scores),
  }));
  const samples = size(memorizedCount, suffix.memorized);
  const settings = { model: { config, files: [] }, device: "cpu", dtype: "float32", samples };
  const control = size(controlCount, suffix.control);
  return { base: results(base), variants, settings: { ...settings, control } } as unknown as SweepResult;
}

/** The means of a column over the same resamples as the package's: 1000 of them, from a seed for each table. */
function resampledMeans(column: readonly number[], seed: number): number[] {
  const generator = xoroshiro128plus(seed);
  return Array.from({ length: 1000 }, () => {
    let sum = 0;
    for (let row = 0; row < column.length; row++) sum += column[uniformInt(generator, 0, column.length - 1)] as number;
    return sum / column.length;
  });
}

/** The 2.5th and the 97.5th percentile of 1000 numbers: between the 25th and the 26th, and the 975th and the 976th. */
function percentiles(numbers: readonly number[]): [number, number] {
  const sorted = [...numbers].sort((a, b) => a - b) as number[];
  const at = (index: number, share: number) =>
    (sorted[index] as number) + share * ((sorted[index + 1] as number) - (sorted[index] as number));
  return [at(24, 0.975), at(974, 0.025)];
}

const meanOf = (numbers: readonly number[]) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

const base = scoresOf([0.99, -0.1], [0.5, -2]);
const weak = scoresOf([0.8, -0.6], [0.48, -2.2]);
const harsh = scoresOf([0.6, -1.5], [0.4, -2.5]);
const last = { kind: "quartile", quartile: 4 };

const text = (result: Selectivity) => inspect(result).replace(/\s+/g, " ");

function close(t: Test, one: number | undefined, other: number, name: string) {
  t.ok(Math.abs((one ?? Number.NaN) - other) < 1e-12, name, { one, other });
}

t.test("drops and selectivity with a bootstrap by hand", async (t) => {
  const result = selectivity(sweepOf(base, [{ scores: weak, ...last }]));
  const columns = {
    teacherForcedAccuracy: (rows: Row[]) => rows.map((row) => row.teacherForcedAccuracy),
    suffixLogLikelihood: (rows: Row[], length: number) => rows.map((row) => row.suffixLogLikelihood / length),
    exactMatch: (rows: Row[]) => rows.map((row) => row.exactMatch),
  };
  for (const [metric, column] of Object.entries(columns)) {
    const found = result.variants[0]?.metrics[metric as keyof Row];
    const drops = (rows: keyof Scores) => {
      const before = column(base[rows], suffix[rows]);
      const after = column(weak[rows], suffix[rows]);
      return before.map((value, index) => value - (after[index] as number));
    };
    const [ours, theirs] = [drops("memorized"), drops("control")];
    const drawn = { memorized: resampledMeans(ours, 2025), control: resampledMeans(theirs, 2026) };
    const difference = drawn.memorized.map((value, draw) => value - (drawn.control[draw] as number));
    const wanted = {
      memorized: [meanOf(ours), ...percentiles(drawn.memorized)],
      control: [meanOf(theirs), ...percentiles(drawn.control)],
      selectivity: [meanOf(ours) - meanOf(theirs), ...percentiles(difference)],
    };
    for (const [name, [value, low, high]] of Object.entries(wanted)) {
      const interval = found?.[name as "selectivity"];
      close(t, interval?.value, value as number, `${metric} ${name}`);
      close(t, interval?.low, low as number, `${metric} ${name}: low`);
      close(t, interval?.high, high as number, `${metric} ${name}: high`);
    }
  }
  t.same(result.compared, ["teacherForcedAccuracy", "suffixLogLikelihood"]);
  t.match(result, { memorizedRows: memorizedCount, controlRows: controlCount });
});

t.test("what the control can lose", async (t) => {
  const limited = (scores: Scores) => selectivity(sweepOf(base, [{ scores, ...last }])).variants[0]?.metrics;
  t.match(limited(weak)?.teacherForcedAccuracy, { controlLimited: false });
  const destroyed = limited(scoresOf([0.1, -8], [0.1, -8]));
  t.match(destroyed?.teacherForcedAccuracy, { controlLimited: true }, "0.89 is more than 0.5");
  t.match(destroyed?.suffixLogLikelihood, { controlLimited: false }, "a log-likelihood has no lower end");
  t.match(destroyed?.exactMatch, { controlLimited: true, control: { value: 0, low: 0, high: 0 } });
  t.match(
    text(selectivity(sweepOf(base, [{ scores: scoresOf([0.1, -8], [0.1, -8]), ...last }]))),
    "could not lose as much, so the selectivity is above 0 in any case.",
  );
});

t.test("attention, MLPs and random sets", async (t) => {
  const random = (scores: Scores, block: number) => ({ scores, kind: "random", blocks: [block] });
  const sets = [random(harsh, 0), random(weak, 1), random(scoresOf([0.98, -0.1], [0.5, -2]), 2), random(weak, 3)];
  const mlp = { ...last, part: "mlp" };
  const { deepBlocks } = selectivity(
    sweepOf(base, [
      { scores: weak, ...last },
      { scores: harsh, ...mlp },
      ...sets,
      { ...random(harsh, 0), part: "mlp" },
    ]),
  );
  t.match(deepBlocks, [{ mode: "zero", over: "quartile", blocks: [3] }]);
  const { attention, mlp: mlps, random: ranked } = deepBlocks[0]?.metrics.teacherForcedAccuracy ?? {};
  close(t, mlps?.difference.value, (attention?.selectivity.value ?? 0) - (mlps?.selectivity.value ?? 0), "difference");
  t.ok((mlps?.difference.high ?? 0) < 0, "the MLPs are more selective");
  t.same(
    ranked,
    { sets: 3, atLeast: 2, atLeastWithoutMoreLoss: 1, rankProbability: 0.75 },
    "not the same blocks again",
  );

  const halves = selectivity(
    sweepOf(base, [
      { scores: weak, blocks: [2] },
      { scores: harsh, blocks: [3] },
      { scores: harsh, blocks: [0] },
      { scores: weak, blocks: [2], part: "mlp" },
    ]),
  );
  const found = halves.deepBlocks[0]?.metrics.suffixLogLikelihood;
  t.match(halves.deepBlocks, [{ over: "blocks", blocks: [2, 3] }]);
  const each = [0, 1].map((index) => halves.variants[index]?.metrics.suffixLogLikelihood?.selectivity.value ?? 0);
  close(t, found?.attention.selectivity.value, meanOf(each), "the mean over the blocks of the second half");
  t.equal(found?.mlp, undefined, "MLPs of other blocks are not compared");
});

t.test("the sentences", async (t) => {
  const sentences = (bypasses: Bypassed[]) => text(selectivity(sweepOf(base, bypasses)));
  const attention = { scores: weak, ...last };
  const alone = sentences([attention]);
  t.match(alone, "Without a bypass, teacher-forced accuracy is 97 % [96, 98] on the 30 memorized rows and 50 % [");
  t.match(alone, "Exact match is 0 % [0, 0] on the control rows, which have nothing to lose in it, so");
  t.match(
    alone,
    /In mode zero, bypassing the attention of the last quarter of the blocks lowers teacher-forced accuracy by/,
  );
  t.match(alone, "This attention matters more to the memorized rows than to the control rows.");
  t.match(
    alone,
    "does not bypass the MLPs of these blocks, so it does not show whether attention stands out from them.",
  );
  t.match(alone, "has no random sets of 1 block");
  const mlp = (scores: Scores) => ({ scores, ...last, part: "mlp" });
  t.match(
    sentences([attention, mlp(base)]),
    /attention is more selective by .*, so it stands out from these MLPs at 95 %\./,
  );
  t.match(
    sentences([attention, mlp(base)]),
    /so the size of the damage may explain this\. In log-likelihood per suffix token, attention is more selective by .*: the two metrics agree\./,
  );
  t.match(
    sentences([attention, mlp(harsh)]),
    /attention is less selective by .*, so it does not stand out from these MLPs\./,
  );
  t.match(
    sentences([attention, mlp(weak)]),
    "0.0 points [0.0, 0.0]; the interval includes 0, so it does not stand out",
  );
  t.match(sentences([{ scores: base, ...last }]), "The interval includes 0, so these rows do not show");
  const raised = scoresOf([0.8, -0.6], [0.6, -1.8]);
  t.match(sentences([{ scores: raised, ...last }]), /on the memorized rows and raises it by 10\.0 points \[/);
  const random = (count: number, scores: Scores) =>
    Array.from({ length: count }, () => ({ scores, kind: "random", blocks: [0] }));
  t.match(sentences([attention, ...random(18, base)]), "of 0 is at least as selective. This is too few to show a rank");
  t.match(
    sentences([attention, ...random(19, base)]),
    "Of 19 other random sets of 1 block, bypassing the attention of 0 is at least as selective. By this rank, the last quarter stands out from random sets of its size (p = 0.050).",
  );
  t.match(
    sentences([attention, ...random(19, harsh)]),
    "of 19 is at least as selective, none of them without a larger drop",
  );
  t.match(
    sentences([{ scores: weak, blocks: [0] }]),
    "of neither the last quarter of the blocks nor a block of the second half",
  );
});

t.test("results without what it needs", async (t) => {
  const refused = (sweep: unknown, said: RegExp) => {
    try {
      selectivity(sweep as SweepResult);
      t.fail("it is refused");
    } catch (error) {
      t.ok(error instanceof AttentionBypassError);
      t.match(error, { code: "SWEEP_INVALID", message: said });
    }
  };
  const whole = sweepOf(base, [{ scores: weak, ...last }]);
  const { control: _, ...baseAlone } = whole.base;
  refused({ ...whole, base: baseAlone, variants: [] }, /control rows .* it has none; run the sweep with --control/);
  refused({ ...whole, base: baseAlone }, /another number of rows/);
  const { memorization: __, ...controlAlone } = whole.base;
  refused({ ...whole, base: controlAlone, variants: [] }, /control rows without samples/);
  const { control: ___, ...settings } = whole.settings;
  refused({ ...whole, settings }, /in settings, control is missing/);
  refused({ ...whole, settings: { ...settings, control: { rows: 20 } } }, /control\.suffixTokens is missing/);
});
