// Recommendations from sweeps: the front and the choice by hand, and intervals where they have a closed form.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { inspect } from "node:util";
import {
  AttentionBypassError,
  embeddedMeasures,
  embeddedModel,
  loadModel,
  type Recommendation,
  type RecommendOptions,
  recommend,
  type SweepResult,
} from "attention-bypass";
import t from "tap";

type Counts = [matched: number, first: number, second: number, perplexity?: number];

/** A sweep of so many of 100 samples matched and so many questions right, of two tasks, by name. */
function sweepOf(all: Record<string, Counts>, { samples = 100, questions = 100 } = {}): SweepResult {
  const scores = ([matched, first, second, perplexity]: Readonly<Counts>) => {
    const right = (count: number) => ({
      perQuestion: Array.from({ length: questions }, (_, index) => ({ logLikelihoods: [], correct: index < count })),
    });
    return {
      memorization: {
        perRow: Array.from({ length: samples }, (_, index) => ({ exactMatch: index < matched ? 1 : 0 })),
      },
      ...(perplexity !== undefined && { perplexity: { perplexity, tokenCount: 5000 } }),
      tasks: { first: right(first), second: right(second) },
    };
  };
  const { base, ...others } = all;
  const variants = Object.entries(others).map(([name, counts], block) => ({
    name,
    kind: "block",
    part: "attention",
    blocks: [block],
    mode: "zero",
    ...scores(counts),
  }));
  return { base: scores(base as Counts), variants } as unknown as SweepResult;
}

const sweep = sweepOf({
  base: [90, 80, 60],
  harmless: [85, 80, 60],
  good: [40, 79, 60],
  beaten: [45, 78, 60],
  harsh: [5, 60, 40],
  equal: [5, 58, 42],
  useless: [95, 80, 60],
});

type Controlled = Record<string, { counts: Counts; accuracy: [samples: number, control: number]; control?: number }>;

/** A sweep with 50 control rows of which so many are matched, and with teacher-forced accuracies. */
function controlledSweep(all: Controlled): SweepResult {
  const names = Object.keys(all);
  const plain = sweepOf(Object.fromEntries(names.map((name) => [name, all[name]?.counts as Counts])), {
    questions: 300,
  });
  const add = (scores: object, name: string) => {
    const { accuracy = [1, 1], control = 0 } = all[name] ?? {};
    const { memorization, tasks } = scores as SweepResult["base"];
    const spread = (value: number, row: number) => value + (row % 2 === 0 ? 0.01 : -0.01);
    const matched = memorization?.perRow.map((row, index) => ({
      ...row,
      teacherForcedAccuracy: spread(accuracy[0], index),
    }));
    const compared = Array.from({ length: 50 }, (_, index) => ({
      exactMatch: index < control ? 1 : 0,
      teacherForcedAccuracy: spread(accuracy[1], index),
    }));
    const scored = Object.entries(tasks ?? {}).map(([task, one]) => [
      task,
      { ...one, accuracy: 0.5, standardErrors: { accuracy: 0 } },
    ]);
    return {
      ...scores,
      memorization: { perRow: matched },
      control: { perRow: compared },
      tasks: Object.fromEntries(scored),
    };
  };
  const config = { family: "gpt-neox", blockCount: 4, headCount: 2, hiddenSize: 8 };
  const size = (rows: number) => ({ rows, suffixTokens: 10 * rows, sha256: "0" });
  const settings = { model: { config }, device: "cpu", dtype: "float32", samples: size(100), control: size(50) };
  const variants = plain.variants.map((variant) => add(variant, variant.name));
  return { base: add(plain.base, "base"), variants, settings } as unknown as SweepResult;
}

const sentences = (recommendation: Recommendation) =>
  inspect(recommendation).split("\n\n").at(-1)?.replace(/\s+/g, " ");

t.test("the front and the choice", async (t) => {
  const { base, front, best, certain, verdict } = recommend(sweep);
  t.equal(base.memorization.value, 0.9);
  t.ok(Math.abs(base.ability.value - 0.7) < 1e-12);
  t.same(
    front.map(({ name }) => name),
    ["harsh", "equal", "good", "harmless"],
  );
  t.equal(best?.name, "good");
  t.equal(verdict, "bypass");
  t.ok(Math.abs((best?.loss.value ?? 0) - 0.5) < 1e-12, "half a point: one question of two hundred");
  t.ok(Math.abs((best?.removed.value ?? 0) - 0.5) < 1e-12, "50 of 100 samples");
  t.equal(certain, false, "one question more could be lost by chance");
  const choice = (options: RecommendOptions) => recommend(sweep, options).best?.name;
  t.equal(choice({ tolerance: 0 }), "harmless");
  t.equal(choice({ tolerance: 0.4 }), "harmless");
  t.equal(choice({ tolerance: 30 }), "harsh");
  const none = recommend(sweepOf({ base: [90, 80, 60], harsh: [5, 60, 40] }));
  t.same([none.best, none.certain, none.front.length], [undefined, false, 1]);
  t.match(none, { verdict: "none-within-tolerance", doubts: [] });
  t.match(
    sentences(none),
    /^No bypass removes memorization within the tolerances: a measured loss of at most 1 point of accuracy\. This is based on/,
  );
  const grown = recommend(sweepOf({ base: [50, 80, 60], grown: [60, 85, 60] }));
  t.match(grown, { verdict: "none-within-tolerance", front: [{ name: "grown" }] }, "it removes nothing");
});

t.test("perplexity counts", async (t) => {
  // Block 0 of the embedded model: one easy task stays as it is, and perplexity rises from 2.4 to 8.4.
  const easy = sweepOf({ base: [44, 100, 100, 2.4], harsh: [0, 100, 100, 8.4], mild: [20, 100, 100, 2.448] });
  const { best, front } = recommend(easy);
  t.equal(best?.name, "mild");
  t.ok(Math.abs((best?.perplexityIncrease ?? 0) - 2) < 1e-9, "2.448 / 2.4 is 1.02");
  t.equal(front.find(({ name }) => name === "harsh")?.perplexityIncrease?.toFixed(6), "250.000000");
  t.match(sentences(recommend(easy)), "and perplexity rises by 2.0 %, from 2.40 to 2.45.");
  const choice = (perplexityTolerance: number) => recommend(easy, { perplexityTolerance }).best?.name;
  t.equal(choice(1.9), undefined);
  t.equal(choice(249.9), "mild");
  t.equal(choice(250.1), "harsh");
  t.match(
    sentences(recommend(easy, { perplexityTolerance: 1 })),
    /^No bypass removes memorization within .* 1 point of accuracy and a measured perplexity increase of at most 1 %\./,
  );
  const pareto = sweepOf({
    base: [90, 80, 60, 10],
    one: [10, 70, 60, 20],
    two: [10, 70, 60, 15],
    three: [20, 70, 60, 14],
  });
  t.same(
    recommend(pareto).front.map(({ name }) => name),
    ["two", "three"],
    "one is beaten in perplexity, and three is not",
  );
});

t.test("certainty goes no further than what it rests on", async (t) => {
  const kept: Counts = [90, 80, 60, 10];
  const bypassed: Counts = [10, 80, 60, 10];
  const enough = recommend(sweepOf({ base: kept, good: bypassed }, { questions: 200 }));
  // No answer of 400 changes: a loss of p would go unseen with probability (1 - p)^400, which is 2.5 % for 0.918 points.
  t.equal(enough.basis.undetectedLoss.toFixed(3), "0.918");
  t.match(enough, { certain: true, doubts: [], basis: { samples: 100, tasks: 2, questions: 400, tokens: 5000 } });
  t.match(
    sentences(enough),
    /certain at 95 %\. This is based on 100 samples, 400 questions of 2 tasks, and the perplexity of 5,000 tokens, without an interval\.$/,
  );
  const few = recommend(sweepOf({ base: kept, good: bypassed }));
  t.equal(few.basis.undetectedLoss.toFixed(2), "1.83", "100 (1 - 0.025^(1/200))");
  t.match(few, { certain: false, doubts: ["few-questions"] });
  t.match(sentences(few), "is not certain at 95 %: 200 questions cannot exclude a loss of up to 1.8 points.");
  t.match(recommend(sweepOf({ base: kept, good: bypassed }), { tolerance: 2 }), { certain: true });
  const [quiet, silenced] = [kept, bypassed].map((counts) => counts.slice(0, 3) as Counts) as [Counts, Counts];
  const unmeasured = recommend(sweepOf({ base: quiet, good: silenced }, { questions: 200 }));
  t.match(unmeasured, { certain: false, doubts: ["no-perplexity"], best: { name: "good" } });
  t.match(sentences(unmeasured), /perplexity was not measured, .* 400 questions of 2 tasks, without perplexity\.$/);
  t.match(recommend(sweep, { tolerance: 30 }).doubts, ["no-perplexity"]);
  t.match(recommend(sweep).doubts, ["loss-interval", "few-questions", "no-perplexity"]);
  const little = sweepOf({ base: kept, good: [88, 80, 60, 10] }, { questions: 200 });
  t.match(recommend(little), { certain: false, doubts: ["removal-interval"] }, "2 of 100 samples may be chance");
});

t.test("nothing to remove", async (t) => {
  const of = (matched: number, samples = 100) =>
    recommend(sweepOf({ base: [matched, 80, 60, 10], good: [0, 80, 60, 10] }, { samples, questions: 200 }));
  t.match(of(0), { verdict: "nothing-memorized", best: undefined, certain: false });
  t.match(
    sentences(of(0)),
    /^The unmodified model's exact match is 0\.0 % \[0\.0, 0\.0\] over 100 samples.* nothing to remove/,
  );
  // A draw of 100 rows misses all of 3 with probability 0.97^100 = 4.8 %, and all of 4 with 1.7 %: 2.5 % lies between.
  t.equal(of(3).verdict, "nothing-memorized");
  t.equal(of(4).verdict, "bypass");
  t.match(of(9, 9), { verdict: "too-few-samples", best: undefined, certain: false });
  t.match(sentences(of(9, 9)), /^9 samples cannot show what the model has memorized/);
  t.equal(of(10, 10).verdict, "bypass");
});

t.test("a sweep of an embedded model with one easy task", async (t) => {
  const model = await loadModel(embeddedModel(), { device: "cpu" });
  t.teardown(() => model.dispose());
  const at = (...names: string[]) => path.join(embeddedMeasures(), ...names);
  // The last records are those that it read most often.
  const lines = (await readFile(at("records.jsonl"), "utf8")).trimEnd().split("\n");
  const often = lines.slice(-32).map((line): { prefix: string; suffix: string } => JSON.parse(line));
  const result = await model.sweep({
    over: [{ blocks: [0] }, { blocks: [7] }],
    samples: often,
    metrics: ["exactMatch"],
    text: (await readFile(at("held-out.txt"), "utf8")).slice(0, 4000),
    tasks: [{ name: "agreement", questions: at("tasks", "agreement.jsonl") }],
  });
  const { front, best, base, certain } = recommend(result);
  const harsh = front.find(({ blocks }) => blocks[0] === 0);
  t.match(harsh, { loss: { value: 0 }, memorization: { value: 0 } }, "by memorization and the task it is the best");
  t.ok(
    (base.perplexity ?? 0) < 3 && (harsh?.perplexity ?? 0) > 7,
    `perplexity ${base.perplexity} to ${harsh?.perplexity}`,
  );
  t.not(best?.name, "block 0");
  t.equal(certain, false, "200 questions");
  t.match(sentences(recommend(result)), "200 questions of 1 task");
});

t.test("a bypass that lowers the control too removes no memorization", async (t) => {
  const kept: Counts = [90, 80, 60, 10];
  const base = { counts: kept, accuracy: [0.98, 0.5] as [number, number] };
  const gone = (matched: number, accuracy: [number, number], control = 0) => ({
    counts: [matched, 80, 60, 10] as Counts,
    accuracy,
    control,
  });
  const good = recommend(controlledSweep({ base, good: gone(10, [0.6, 0.5]), harsh: gone(5, [0.6, 0.1]) }));
  t.match(good, { verdict: "bypass", best: { name: "good" }, certain: true, doubts: [] }, "harsh is less selective");
  t.match(good, { selectivityMetric: "teacherForcedAccuracy", basis: { control: 50, bypasses: 2 } });
  t.ok(
    Math.abs((good.best?.selectivity?.value ?? 0) - 0.38) < 1e-12,
    "0.38 on the samples, and nothing on the control",
  );
  t.match(good.best?.control, { value: 0 });
  t.match(
    sentences(good),
    "Its selectivity, the drop of teacher-forced accuracy on the samples minus that on the control rows, is 38.0 points [",
  );
  t.match(
    sentences(good),
    "certain at 95 %, with intervals that hold for all 2 bypasses at once. This is based on 100 samples, 50 control rows, 600",
  );
  const none = recommend(controlledSweep({ base, harsh: gone(5, [0.6, 0.1]) }));
  t.match(none, { verdict: "none-selective", best: undefined, certain: false });
  t.match(
    sentences(none),
    /^The bypasses within the tolerances lower teacher-forced accuracy of the control rows at least as much/,
  );
  const slight = recommend(controlledSweep({ base, slight: gone(5, [0.6, 0.1205]) }));
  t.match(slight, { verdict: "bypass", certain: false, doubts: ["not-selective"] }, "0.05 points of 38");
  t.match(sentences(slight), "the interval of the selectivity includes 0, so other text may lose as much");
  const inferred = { ...base, control: 44 };
  const matchedToo = recommend(controlledSweep({ base: inferred, good: gone(10, [0.6, 0.5]) }));
  t.match(matchedToo, { verdict: "nothing-memorized" }, "88 % of the control rows are matched too");
  t.match(sentences(matchedToo), /not above that of the control rows, 88\.0 % \[.*\], at 95 %/);
  const both = recommend(
    controlledSweep({ base: { ...base, control: 20 }, less: gone(20, [0.6, 0.5], 20), more: gone(10, [0.6, 0.5]) }),
  );
  t.equal(both.best?.name, "less", "70 points more than the control, and not 80 - 40");
});

t.test("a choice among many", async (t) => {
  const kept: Counts = [90, 80, 60, 10];
  const others = (count: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`other ${index}`, [88 - index, 40, 30, 10] as Counts]),
    );
  const among = (count: number) => {
    const made = sweepOf({ base: kept, good: [81, 80, 60, 10], ...others(count) }, { questions: 400 });
    // The rows that each other bypass still matches are spread in another way.
    for (const [index, variant] of made.variants.slice(1).entries()) {
      const rows = variant.memorization?.perRow ?? [];
      rows.push(...rows.splice(0, 3 * index));
    }
    return recommend(made);
  };
  t.match(among(0), { best: { name: "good" }, certain: true }, "9 of 90 rows");
  const many = among(25);
  t.match(many, { best: { name: "good", removed: {} }, doubts: ["removal-interval"] });
  t.ok((many.best?.removed.low ?? 0) > 0, "by itself it is above 0");
  t.match(
    sentences(many),
    /with intervals that hold for all 26 bypasses at once: the interval of the removed memorization \[-/,
  );
  t.equal(many.basis.undetectedLoss.toFixed(3), (100 * (1 - (0.025 / 26) ** (1 / 800))).toFixed(3));
  const random = sweepOf({ base: kept, good: [40, 80, 60, 10], random: [5, 80, 60, 10] }, { questions: 200 });
  Object.assign(random.variants[1] as object, { kind: "random" });
  t.match(
    recommend(random),
    { best: { name: "good" }, basis: { bypasses: 1 } },
    "random sets are there for comparison",
  );
});

t.test("intervals come near those of the normal distribution", async (t) => {
  const { memorization, ability } = recommend(sweep).base;
  const close = (found: number, wanted: number) => t.ok(Math.abs(found - wanted) < 0.012, `${found} for ${wanted}`);
  const spread = 1.96 * Math.sqrt((0.9 * 0.1) / 100);
  close(memorization.low, 0.9 - spread);
  close(memorization.high, 0.9 + spread);
  const both = 1.96 * 0.5 * Math.sqrt((0.8 * 0.2 + 0.6 * 0.4) / 100);
  close(ability.low, 0.7 - both);
  close(ability.high, 0.7 + both);
  t.same(recommend(sweep), recommend(sweep), "the same each time");
});

t.test("what it can't be asked", async (t) => {
  const refused = (work: () => unknown, code: string, said: string) => {
    try {
      work();
      t.fail("it was not refused");
    } catch (error) {
      t.ok(error instanceof AttentionBypassError);
      t.match(error, { code });
      t.match((error as Error).message, said);
    }
  };
  refused(() => recommend(sweep, { tolerance: -1 }), "INVALID_ARGUMENT", "options.tolerance");
  refused(() => recommend(sweep, { tolerance: "1" } as never), "INVALID_ARGUMENT", "options.tolerance");
  refused(() => recommend(sweep, { perplexityTolerance: -1 }), "INVALID_ARGUMENT", "options.perplexityTolerance");
  const [measured, not] = [sweepOf({ base: [90, 80, 60, 9] }), sweepOf({ base: [9, 8, 6], other: [9, 8, 6] })];
  refused(() => recommend({ ...measured, variants: not.variants }), "SWEEP_INVALID", "variants[0]");
  for (const perplexity of [Number.NaN, Number.POSITIVE_INFINITY, null, 0]) {
    const base = { ...measured.base, perplexity: { perplexity, tokenCount: 9 } };
    refused(() => recommend({ ...measured, base } as never), "SWEEP_INVALID", "base.perplexity.perplexity");
  }
  refused(() => recommend({} as never), "SWEEP_INVALID", "base");
  refused(() => recommend({ ...sweep, base: {} }), "SWEEP_INVALID", "base.memorization");
  refused(() => recommend(null as never), "SWEEP_INVALID", "sweep");
});

t.test("numbers that no sweep measures are refused", async (t) => {
  const odd = (change: (base: { memorization: { perRow: { exactMatch: number }[] } }) => void) => {
    const made = sweepOf({ base: [90, 80, 60, 2], good: [40, 80, 60, 2] });
    change(made.base as never);
    return made;
  };
  for (const exactMatch of [2, -1, 1e308]) {
    const made = odd(({ memorization }) => memorization.perRow.splice(0, 1, { exactMatch }));
    t.throws(() => recommend(made), { code: "SWEEP_INVALID" }, String(exactMatch));
  }
  for (const perplexity of [1e-308, 0.5]) {
    const made = sweepOf({ base: [90, 80, 60, perplexity], good: [40, 80, 60, 2] });
    t.throws(() => recommend(made), { code: "SWEEP_INVALID" }, String(perplexity));
  }
  const endless = sweepOf({ base: [90, 80, 60, 2], good: [40, 80, 60, 1e308] });
  t.throws(() => recommend(endless), { code: "NOT_FINITE" });
  t.throws(() => recommend(sweep, { tolerance: Number.POSITIVE_INFINITY }), { code: "INVALID_ARGUMENT" });
});
