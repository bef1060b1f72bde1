import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { mean } from "./statistics.js";

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

/** A value for all rows, and its value for each bootstrap resample of the rows. */
export interface Resampled {
  value: number;
  draws: Float64Array;
}

const drawCount = 1000;
/** Fixed, so that the same rows always give the same interval. */
const seed = 2025;

export function quantile(sorted: ArrayLike<number>, share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] as number;
  return below + (place - Math.floor(place)) * ((sorted[Math.ceil(place)] as number) - below);
}

function drawn(of: (draw: number) => number): Float64Array {
  const draws = new Float64Array(drawCount);
  for (let draw = 0; draw < drawCount; draw++) draws[draw] = of(draw);
  return draws;
}

/** Computes a value from resampled values, for all rows and for each resample. */
export function combine(of: (...values: number[]) => number, ...parts: readonly Resampled[]): Resampled {
  return {
    value: of(...parts.map(({ value }) => value)),
    draws: drawn((draw) => of(...parts.map(({ draws }) => draws[draw] as number))),
  };
}

export const difference = (one: Resampled, other: Resampled): Resampled => combine((a, b) => a - b, one, other);

/**
 * Returns the interval from the 2.5th to the 97.5th percentile. Resamples for which the value is not finite, such as a
 * quotient with a denominator of 0, are left out.
 */
export function toInterval({ value, draws }: Resampled): Interval {
  const sorted = draws.filter(Number.isFinite).sort();
  return { value, low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
}

/**
 * Computes 95 % confidence intervals by Efron's percentile bootstrap: the rows of each table are resampled 1000 times
 * with replacement, and the interval is from the 2.5th to the 97.5th percentile of the statistic. The resampled row
 * numbers are kept, because many intervals use the same tables.
 */
export class Bootstrap {
  readonly #drawn = new Map<string, Uint32Array>();

  /**
   * Returns the mean of a column of the table at a place. Columns of one table are resampled together, and tables at
   * different places independently.
   */
  mean(column: readonly number[], place = 0): Resampled {
    const count = column.length;
    const rows = this.#rows(place, count);
    const values = Float64Array.from(column);
    const draws = drawn((draw) => {
      let total = 0;
      for (let at = draw * count; at < (draw + 1) * count; at++) total += values[rows[at] as number] as number;
      return total / count;
    });
    return { value: mean(column), draws };
  }

  /** Returns the interval of a statistic of the tables' column means. */
  interval(tables: readonly Table[], statistic: (means: number[][]) => number): Interval {
    const means = tables.map((table, place) => table.map((column) => this.mean(column, place)));
    const at = (of: (mean: Resampled) => number) => statistic(means.map((table) => table.map(of)));
    return toInterval({
      value: at(({ value }) => value),
      draws: drawn((draw) => at(({ draws }) => draws[draw] as number)),
    });
  }

  /** Returns the row numbers of all resamples of a table, one resample after the other. */
  #rows(place: number, count: number): Uint32Array {
    const key = `${place} ${count}`;
    const known = this.#drawn.get(key);
    if (known) return known;
    const generator = xoroshiro128plus(seed + place);
    const rows = Uint32Array.from({ length: drawCount * count }, () => uniformInt(generator, 0, count - 1));
    this.#drawn.set(key, rows);
    return rows;
  }
}
