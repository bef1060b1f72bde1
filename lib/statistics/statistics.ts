/** A mean and its standard error, which is undefined for a single number. */
export interface Measured {
  value: number;
  standardError?: number;
}

/**
 * Returns the exponential of a mean. The mean is approximately normal, so its exponential is approximately log-normal;
 * the standard error is that of the log-normal distribution.
 */
export function exponentialOf({ value, standardError }: Measured): Measured {
  if (standardError === undefined) return { value: Math.exp(value) };
  const variance = standardError ** 2;
  const error = Math.exp(value + variance / 2) * Math.sqrt(Math.expm1(variance));
  // The error overflows to infinity for a few numbers that are far apart.
  return { value: Math.exp(value), ...(Number.isFinite(error) && { standardError: error }) };
}

export function mean(numbers: ArrayLike<number>): number {
  return Array.from(numbers).reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** Returns the largest number; -Infinity if there is none. Unlike Math.max, it takes any number of values. */
export function largest(numbers: Iterable<number>): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const number of numbers) most = Math.max(most, number);
  return most;
}

/** Returns the mean of numbers with its standard error: the sample standard deviation / sqrt(count). */
export function meanWithError(numbers: readonly number[]): Measured {
  const value = mean(numbers);
  if (numbers.length === 1) return { value };
  const squares = numbers.reduce((sum, number) => sum + (number - value) ** 2, 0);
  return { value, standardError: Math.sqrt(squares / (numbers.length - 1) / numbers.length) };
}
