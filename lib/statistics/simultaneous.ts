import { type Bootstrap, combine, type Interval, quantile, type Resampled } from "./bootstrap.js";
import { largest } from "./statistics.js";

/**
 * A sum of the means of columns, such as a difference of two means. Columns with one `place` have the same rows and are
 * resampled together; others are independent.
 */
export type SumOfMeans = readonly { column: readonly number[]; place: number }[];

interface Studentized {
  mean: Resampled;
  error: Resampled;
}

/**
 * Returns a sum of means and its standard error, for all rows and for each resample. The error counts one row more,
 * which is as far from the mean as the column's largest value is from 0: a resample in which all rows happen to be equal
 * must not have the error 0.
 */
function studentize(parts: SumOfMeans, bootstrap: Bootstrap): Studentized {
  const summed = (...values: number[]) => values.reduce((sum, value) => sum + value, 0);
  const columns = parts.map(({ column, place }) => {
    const count = column.length;
    const unit = largest(column.map(Math.abs));
    const mean = bootstrap.mean(column, place);
    const squares = bootstrap.mean(
      column.map((value) => value ** 2),
      place,
    );
    const variance = (square: number, mean: number) => (Math.max(0, square - mean ** 2) + unit ** 2 / count) / count;
    return { mean, variance: combine(variance, squares, mean) };
  });
  return {
    mean: combine(summed, ...columns.map(({ mean }) => mean)),
    error: combine((...values) => Math.sqrt(summed(...values)), ...columns.map(({ variance }) => variance)),
  };
}

/**
 * Returns intervals that contain all values at the same time with a probability of 95 %, so that they hold for any of
 * them, however it was chosen. Each is the value plus and minus a multiple of its standard error. The multiple is the
 * 95th percentile, over bootstrap resamples, of the largest studentized deviation of any value, with the standard errors
 * of the resample. A value whose columns are 0 everywhere has the interval [0, 0].
 */
export function simultaneousIntervals(values: readonly SumOfMeans[], bootstrap: Bootstrap): Interval[] {
  const studentized = values.map((parts) => studentize(parts, bootstrap));
  const varying = studentized.filter(({ error }) => error.value > 0);
  const [first] = varying;
  const deviation = ({ mean, error }: Studentized, draw: number) =>
    Math.abs((mean.draws[draw] as number) - mean.value) / (error.draws[draw] as number);
  const largestOf = (_: number, draw: number) => largest(varying.map((one) => deviation(one, draw)));
  const multiple = first === undefined ? 0 : quantile(first.mean.draws.map(largestOf).sort(), 0.95);
  return studentized.map(({ mean: { value }, error }) => ({
    value,
    low: value - multiple * error.value,
    high: value + multiple * error.value,
  }));
}
