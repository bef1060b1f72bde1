/** A mean and its standard error. */
export interface Measured {
  value: number;
  standardError: number;
}

/** The exponential of a mean, which is nearly normal, so that this is nearly log-normal; the standard error is that one's. */
export function exponentialOf({ value, standardError }: Measured): Measured {
  const variance = standardError ** 2;
  return { value: Math.exp(value), standardError: Math.exp(value + variance / 2) * Math.sqrt(Math.expm1(variance)) };
}

export function mean(numbers: ArrayLike<number>): number {
  return Array.from(numbers).reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** The standard error is the sample standard deviation / sqrt(count), and NaN of a single number. */
export function meanWithError(numbers: readonly number[]): Measured {
  const value = mean(numbers);
  const squares = numbers.reduce((sum, number) => sum + (number - value) ** 2, 0);
  return { value, standardError: Math.sqrt(squares / (numbers.length - 1) / numbers.length) };
}
