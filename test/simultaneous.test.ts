// Simultaneous intervals: the bootstrap of the studentized maximum, written out here, and cases in closed form.
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import t from "tap";
import { Bootstrap } from "../lib/statistics/bootstrap.ts";
import { type SumOfMeans, simultaneousIntervals } from "../lib/statistics/simultaneous.ts";

const upTo = (count: number, rows: number) => Array.from({ length: rows }, (_, index) => (index < count ? 1 : 0));
const intervals = (values: SumOfMeans[]) => simultaneousIntervals(values, new Bootstrap());

/** The mean of a column and the square of its standard error, which counts one more row at the largest value. */
function meanAndVariance(column: readonly number[], unit: number): [number, number] {
  const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
  const squares = column.reduce((sum, value) => sum + (value - mean) ** 2, unit ** 2);
  return [mean, squares / column.length ** 2];
}

t.test("the multiple by hand, for values from two tables", async (t) => {
  const [first, second] = [upTo(30, 50), upTo(11, 50).map((hit, row) => (row % 2 === 0 ? hit : -hit))];
  const other = upTo(9, 40).map((value) => 3 * value);
  const values: SumOfMeans[] = [
    [{ column: first, place: 0 }],
    [
      { column: second, place: 0 },
      { column: other, place: 1 },
    ],
  ];
  const generators = [xoroshiro128plus(2025), xoroshiro128plus(2026)] as const;
  const moments = (zero: readonly (readonly number[])[], one: readonly number[]) => {
    const [a, variance] = meanAndVariance(zero[0] as number[], 1);
    const [b, theirs] = meanAndVariance(zero[1] as number[], 1);
    const [c, apart] = meanAndVariance(one, 3);
    return [
      [a, Math.sqrt(variance)],
      [b + c, Math.sqrt(theirs + apart)],
    ] as [number, number][];
  };
  const whole = moments([first, second], other);
  const deviations = Array.from({ length: 1000 }, () => {
    const rows = Array.from({ length: 50 }, () => uniformInt(generators[0], 0, 49));
    const others = Array.from({ length: 40 }, () => uniformInt(generators[1], 0, 39));
    const drawn = moments(
      [first, second].map((column) => rows.map((row) => column[row] as number)),
      others.map((row) => other[row] as number),
    );
    return Math.max(...drawn.map(([mean, error], index) => Math.abs(mean - (whole[index]?.[0] ?? 0)) / error));
  }).sort((a, b) => a - b);
  // The 95th percentile of 1000 numbers is between the 950th and the 951st: place 949.05.
  const multiple = 0.95 * (deviations[949] as number) + 0.05 * (deviations[950] as number);
  for (const [index, { value, low, high }] of intervals(values).entries()) {
    const [mean, error] = whole[index] as [number, number];
    for (const [one, wanted] of [
      [value, mean],
      [low, mean - multiple * error],
      [high, mean + multiple * error],
    ] as const) {
      t.ok(Math.abs(one - wanted) < 1e-9, `value ${index}: ${one} for ${wanted}`);
    }
  }
});

t.test("values that do not vary, and values that are equal", async (t) => {
  const column = upTo(40, 100);
  const one: SumOfMeans = [{ column, place: 0 }];
  const none: SumOfMeans = [{ column: upTo(0, 100), place: 0 }];
  const [alone] = intervals([one]);
  t.same(intervals([one, one, none]), [alone, alone, { value: 0, low: 0, high: 0 }], "they make no interval wider");
  t.same(intervals([none]), [{ value: 0, low: 0, high: 0 }]);
  t.same(intervals([]), []);
  const [all] = intervals([[{ column: upTo(100, 100), place: 0 }]]);
  t.match(all, { value: 1, low: 1, high: 1 }, "all resamples are equal, so nothing deviates");
  const together = intervals([[{ column: upTo(100, 100), place: 0 }], one])[0];
  t.ok((together?.low ?? 1) < 0.99, "but next to another value its interval has the width of more than one row");
  const spread = 1.96 * Math.sqrt((0.4 * 0.6) / 100);
  t.ok(
    Math.abs((alone?.low ?? 0) - (0.4 - spread)) < 0.02,
    "a single value has nearly the interval of the normal distribution",
  );
});

t.test("more values have wider intervals", async (t) => {
  const many = Array.from({ length: 20 }, (_, index): SumOfMeans => {
    const column = Array.from({ length: 100 }, (_, row) => ((row * 37 + index * 61) % 100 < 40 ? 1 : 0));
    return [{ column, place: 0 }];
  });
  const width = (values: SumOfMeans[]) => {
    const [first] = intervals(values);
    return (first?.high ?? 0) - (first?.low ?? 0);
  };
  t.ok(width(many) > 1.2 * width(many.slice(0, 1)));
  // Bonferroni's interval for 20 independent normal values, 3.02 standard errors: the intervals are not wider by much.
  t.ok(width(many) < 2 * 3.4 * Math.sqrt((0.4 * 0.6) / 100));
});
