import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** A value and its 95 % confidence interval. */
export interface Interval {
  /** Of the rows as they are. */
  value: number;
  /** The 2.5th percentile of what it is when rows are drawn anew. */
  low: number;
  /** The 97.5th. */
  high: number;
}

/** Numbers of the same rows, such as two models' scores: a column each. Rows are drawn as wholes. */
export type Table = readonly (readonly number[])[];

const draws = 1000;
// The same interval each time.
const seed = 2025;

const rowsOf = ([column]: Table): number => column?.length ?? 0;

function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] as number;
  return below + (place - Math.floor(place)) * ((sorted[Math.ceil(place)] as number) - below);
}

/**
 * Intervals by the percentile bootstrap of Efron: between the 2.5th and the 97.5th percentile of what a statistic is when
 * the rows of each table are drawn anew, with replacement, 1000 times. Keeps the rows that it has drawn for the next
 * interval, as there are often many over the same tables.
 */
export class Bootstrap {
  readonly #drawn = new Map<string, Uint32Array>();

  /** Of a statistic of the means of tables' columns. Draws for which it is not defined, such as a share of nothing, are
   * left out. */
  interval(tables: readonly Table[], statistic: (means: number[][]) => number): Interval {
    const rows = tables.map((table, place) => this.#rows(place, rowsOf(table)));
    const value = statistic(tables.map((table) => table.map((column) => sum(column) / column.length)));
    const sorted = Array.from({ length: draws }, (_, draw) =>
      statistic(
        tables.map((table, place) => {
          const count = rowsOf(table);
          const drawn = (rows[place] as Uint32Array).subarray(draw * count, (draw + 1) * count);
          return table.map((column) => drawn.reduce((total, row) => total + (column[row] as number), 0) / count);
        }),
      ),
    )
      .filter(Number.isFinite)
      .sort((a, b) => a - b);
    return { value, low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
  }

  /** The rows of all draws of a table, one draw after the other. Tables at different places are drawn independently. */
  #rows(place: number, count: number): Uint32Array {
    const key = `${place} ${count}`;
    const known = this.#drawn.get(key);
    if (known) return known;
    const generator = xoroshiro128plus(seed + place);
    const rows = Uint32Array.from({ length: draws * count }, () => uniformInt(generator, 0, count - 1));
    this.#drawn.set(key, rows);
    return rows;
  }
}

const sum = (column: readonly number[]) => column.reduce((total, value) => total + value, 0);
