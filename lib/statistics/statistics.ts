/** A mean and its standard error, which a single number does not have. */
export interface Measured {
  value: number;
  standardError?: number;
}

/** The exponential of a mean, which is nearly normal, so that this is nearly log-normal; the standard error is that one's. */
export function exponentialOf({ value, standardError }: Measured): Measured {
  if (standardError === undefined) return { value: Math.exp(value) };
  const variance = standardError ** 2;
  const error = Math.exp(value + variance / 2) * Math.sqrt(Math.expm1(variance));
  // Of few numbers far apart it may be more than a number holds.
  return { value: Math.exp(value), ...(Number.isFinite(error) && { standardError: error }) };
}

export function mean(numbers: ArrayLike<number>): number {
  return Array.from(numbers).reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** The greatest of numbers, however many; -Infinity where there is none. */
export function largest(numbers: Iterable<number>): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const number of numbers) most = Math.max(most, number);
  return most;
}

/** The standard error is the sample standard deviation / sqrt(count). */
export function meanWithError(numbers: readonly number[]): Measured {
  const value = mean(numbers);
  if (numbers.length === 1) return { value };
  const squares = numbers.reduce((sum, number) => sum + (number - value) ** 2, 0);
  return { value, standardError: Math.sqrt(squares / (numbers.length - 1) / numbers.length) };
}
