import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** A value and its 95 % confidence interval. */
export interface Interval {
  /** The value for all rows, each counted once. */
  value: number;
  /** The lower end of the interval: the 2.5th percentile of the value over bootstrap resamples of the rows. */
  low: number;
  /** The upper end of the interval: the 97.5th percentile. */
  high: number;
}

/** Columns of numbers for the same rows, such as the scores of two models. The bootstrap resamples whole rows. */
export type Table = readonly (readonly number[])[];

const draws = 1000;
/** Fixed, so that the same rows always give the same interval. */
const seed = 2025;

const rowsOf = ([column]: Table): number => column?.length ?? 0;

function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] as number;
  return below + (place - Math.floor(place)) * ((sorted[Math.ceil(place)] as number) - below);
}

/**
 * Computes 95 % confidence intervals by Efron's percentile bootstrap: the rows of each table are resampled 1000 times
 * with replacement, and the interval is from the 2.5th to the 97.5th percentile of the statistic. The resampled row
 * numbers are kept, because many intervals use the same tables.
 */
export class Bootstrap {
  readonly #drawn = new Map<string, Uint32Array>();

  /**
   * Returns the interval of a statistic of the tables' column means. Resamples for which the statistic is not finite,
   * such as a quotient with a denominator of 0, are left out.
   */
  interval(tables: readonly Table[], statistic: (means: number[][]) => number): Interval {
    // Typed arrays, since reports spend most of their time on these sums.
    const typed = tables.map((table) => table.map((column) => Float64Array.from(column)));
    const rows = tables.map((table, place) => this.#rows(place, rowsOf(table)));
    const value = statistic(typed.map((table) => table.map((column) => sum(column) / column.length)));
    const sorted = Array.from({ length: draws }, (_, draw) =>
      statistic(
        typed.map((table, place) => {
          const count = table[0]?.length ?? 0;
          const drawn = (rows[place] as Uint32Array).subarray(draw * count, (draw + 1) * count);
          return table.map((column) => sumAt(column, drawn) / count);
        }),
      ),
    )
      .filter(Number.isFinite)
      .sort((a, b) => a - b);
    return { value, low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
  }

  /**
   * Returns the row numbers of all resamples of a table, one resample after the other. Tables at different places are
   * resampled independently.
   */
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

/** Returns the sum of a column at these rows. */
function sumAt(column: Float64Array, rows: Uint32Array): number {
  let total = 0;
  for (let index = 0; index < rows.length; index++) total += column[rows[index] as number] as number;
  return total;
}

const sum = (column: Float64Array) => column.reduce((total, value) => total + value, 0);
