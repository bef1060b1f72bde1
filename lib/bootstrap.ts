import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** A value and its 95 % confidence interval. */
export interface Interval {
  value: number;
  low: number;
  high: number;
}

/** Numbers of the same rows, such as two models' scores: a column each. Rows are drawn as wholes. */
export type Table = readonly (readonly number[])[];

const resamples = 1000;
// The same interval each time.
const seed = 2025;

function means(table: Table, rows: ArrayLike<number>): number[] {
  return table.map((column) => {
    let sum = 0;
    for (let index = 0; index < rows.length; index++) sum += column[rows[index] as number] as number;
    return sum / rows.length;
  });
}

function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] as number;
  return below + (place - Math.floor(place)) * ((sorted[Math.ceil(place)] as number) - below);
}

/**
 * A statistic of the means of tables' columns, with the interval between the 2.5th and the 97.5th percentile of
 * what it is when the rows of each table are drawn anew, with replacement, 1000 times (the percentile bootstrap of
 * Efron).
 */
export function bootstrap(tables: readonly Table[], statistic: (means: number[][]) => number): Interval {
  const counts = tables.map(([column]) => column?.length ?? 0);
  const value = statistic(tables.map((table, index) => means(table, [...Array(counts[index]).keys()])));
  const generator = xoroshiro128plus(seed);
  const drawn = Array.from({ length: resamples }, () =>
    statistic(
      tables.map((table, index) => {
        const count = counts[index] as number;
        const rows = Int32Array.from({ length: count }, () => uniformInt(generator, 0, count - 1));
        return means(table, rows);
      }),
    ),
  ).sort((a, b) => a - b);
  return { value, low: quantile(drawn, 0.025), high: quantile(drawn, 0.975) };
}
