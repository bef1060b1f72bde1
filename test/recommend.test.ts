// Recommendations from sweeps: the front and the choice by hand, and intervals where they have a closed form.
import { AttentionBypassError, type RecommendOptions, recommend, type SweepResult } from "attention-bypass";
import t from "tap";

/** A sweep of so many of 100 samples matched and 100 questions right, of two tasks, by name. */
function sweepOf(all: Record<string, [matched: number, first: number, second: number]>): SweepResult {
  const scores = ([matched, first, second]: readonly [number, number, number]) => {
    const right = (count: number) => ({
      perQuestion: Array.from({ length: 100 }, (_, index) => ({ logLikelihoods: [], correct: index < count })),
    });
    return {
      memorization: {
        perRow: Array.from({ length: 100 }, (_, index) => ({ exactMatch: index < matched ? 1 : 0 })),
      },
      tasks: { first: right(first), second: right(second) },
    };
  };
  const { base, ...others } = all;
  const variants = Object.entries(others).map(([name, counts], block) => ({
    name,
    blocks: [block],
    mode: "zero",
    ...scores(counts),
  }));
  return { base: scores(base as [number, number, number]), variants } as unknown as SweepResult;
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

t.test("the front and the choice", async (t) => {
  const { base, front, best, certain } = recommend(sweep);
  t.equal(base.memorization.value, 0.9);
  t.ok(Math.abs(base.ability.value - 0.7) < 1e-12);
  t.same(
    front.map(({ name }) => name),
    ["harsh", "equal", "good", "harmless"],
  );
  t.equal(best?.name, "good");
  t.ok(Math.abs((best?.loss.value ?? 0) - 0.5) < 1e-12, "half a point: one question of two hundred");
  t.equal(certain, false, "one question more could be lost by chance");
  const choice = (options: RecommendOptions) => recommend(sweep, options).best?.name;
  t.equal(choice({ tolerance: 0 }), "harmless");
  t.equal(choice({ tolerance: 0.4 }), "harmless");
  t.equal(choice({ tolerance: 30 }), "harsh");
  t.equal(recommend(sweep, { tolerance: 30 }).certain, true);
  t.equal(recommend(sweep, { tolerance: 0 }).certain, true, "no question differs");
  const none = recommend(sweepOf({ base: [90, 80, 60], harsh: [5, 60, 40] }));
  t.same([none.best, none.certain, none.front.length], [undefined, false, 1]);
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
  refused(() => recommend({} as never), "SWEEP_INVALID", "base");
  refused(() => recommend({ ...sweep, base: {} }), "SWEEP_INVALID", "base.memorization");
  refused(() => recommend(null as never), "SWEEP_INVALID", "sweep");
});
