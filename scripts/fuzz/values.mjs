// Values at the limits of what readers expect.

export const numbers = [
  0,
  1,
  2,
  3,
  7,
  -1,
  -2,
  0.5,
  -0.5,
  1e-9,
  127,
  128,
  255,
  256,
  65_535,
  65_536,
  1e6,
  1e9,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 32 + 1,
  2 ** 40,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
  2 ** 64,
  1e20,
  1e100,
  1e308,
  -1e9,
  -(2 ** 31),
  -(2 ** 53),
];

/** Numbers as JSON texts that JSON.stringify never writes. */
export const numberTexts = ["NaN", "Infinity", "-Infinity", "1e400", "-0", "00", "1.0", "0x10", "9".repeat(400)];

export const names = [
  "",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "then",
  "length",
  "\0",
  "\u001b[31mred\u001b[0m\u0007",
  "a\nb",
  "..",
  "../../../etc/passwd",
  "/etc/passwd",
  "/dev/zero",
  "~",
  "\ud800",
  "\ufeff",
  "\u202e",
  "\u{1f600}",
  ".",
  "%s%n",
  "NaN",
  "null",
];

export const longText = (random) =>
  random.pick(["a", "(", "[", "{{", "\\", " ", "\n", "é", "0", "a."]).repeat(random.pick([1000, 30_000, 200_000]));

/** A random text. */
export const text = (random) => (random.chance(0.15) ? longText(random) : random.pick(names));

/** Nested lists or nested dictionaries, as text. */
export const deepJson = (depth, object = false) =>
  object ? `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}` : `${"[".repeat(depth)}${"]".repeat(depth)}`;
