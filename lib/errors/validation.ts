import * as v from "valibot";
import { AttentionBypassError, type ErrorCode } from "./errors.js";
import { visible } from "./visible.js";

/** The most characters of a text or a path that a message shows. */
const longestShown = 60;
const longestPlace = 200;

/** Larger bigints are not printed, because converting very long ones to text takes seconds. */
const largestShown = 2n ** 64n;

function shorten(text: string): string {
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;
}

function describeObject(value: object): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const name: unknown = value.constructor?.name;
  return typeof name === "string" && name !== "" ? shorten(name) : "an object";
}

/**
 * Returns the path at which validation failed, such as "forms.0.gold", or null for the value itself. Names in it come
 * from files, so the path is escaped and cut to 200 characters.
 */
export function placeOf(issue: v.BaseIssue<unknown>): string | null {
  const place = v.getDotPath(issue);
  return place === null ? null : visible(place.length > longestPlace ? `${place.slice(0, longestPlace)}…` : place);
}

/** Returns a value as an error message shows it. Never throws. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return visible(JSON.stringify(shorten(value)));
    case "function":
      return "a function";
    case "symbol":
      return "a symbol";
    case "bigint":
      return value >= -largestShown && value <= largestShown ? `${value}n` : "a bigint of more than 64 bits";
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "object":
      if (value === null) return "null";
      try {
        return visible(describeObject(value));
      } catch {
        return "an object that can't be read";
      }
    default:
      return String(value);
  }
}

/**
 * Runs a function that reads a caller's value. If a getter or proxy of the value throws, throws INVALID_ARGUMENT; an
 * `AttentionBypassError` of the function passes through.
 */
export function reading<Value>(name: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (error instanceof AttentionBypassError) throw error;
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected a value that can be read for ${name} but reading it failed`,
      { cause: error },
    );
  }
}

export function invalidArgument(name: string, expected: string, received: unknown): AttentionBypassError {
  return new AttentionBypassError(
    "INVALID_ARGUMENT",
    `expected ${expected} for ${name} but received ${describe(received)}`,
  );
}

function expectedOf(issue: v.BaseIssue<unknown>): string {
  const own = issue.kind === "validation" || issue.type === "union" || issue.type === "custom";
  return own ? issue.message : (issue.expected ?? issue.message);
}

/** Returns what is wrong at a place of a value that comes from outside, such as "base.tasks is missing". */
export function problemOf(issue: v.BaseIssue<unknown>): string {
  const place = placeOf(issue) ?? "it";
  if (issue.input === undefined) return `${place} is missing`;
  return `${place} is ${describe(issue.input)}, not ${expectedOf(issue)}`;
}

/**
 * Returns the schema's output for a value. Throws an error with the given code that names the argument and the path in
 * it.
 */
export function validate<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  name: string,
  code: ErrorCode = "INVALID_ARGUMENT",
): v.InferOutput<Schema> {
  const result = reading(name, () => v.safeParse(schema, value, { abortEarly: true }));
  if (result.success) return result.output;
  const [issue] = result.issues;
  const place = [name, placeOf(issue)].filter(Boolean).join(".");
  if (issue.type === "strict_object" && issue.expected === "never") {
    throw new AttentionBypassError(
      code,
      `expected only known options but received ${place}; remove it or correct its name`,
    );
  }
  const expected = expectedOf(issue);
  throw new AttentionBypassError(code, `expected ${expected} for ${place} but received ${describe(issue.input)}`);
}

/** Returns the values of the options that a schema has. Options without a value are left out. */
export function valuesFor(entries: object, options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([name, value]) => name in entries && value !== undefined));
}

// The messages of these schemas complete "expected … for NAME but received VALUE".

export const wholeNumber = (from: number, message = `a whole number from ${from} to 2^53 - 1`) =>
  v.pipe(
    v.number(),
    v.check((value: number) => Number.isSafeInteger(value) && value >= from, message),
  );

export const positiveNumber = v.pipe(
  v.number(),
  v.check((value: number) => Number.isFinite(value) && value > 0, "a number above 0"),
);

export const share = v.pipe(
  v.number(),
  v.check((value: number) => value >= 0 && value <= 1, "a number from 0 to 1"),
);

export const pathText = v.pipe(
  v.string(),
  v.check((value: string) => value !== "" && !value.includes("\0") && !/\p{Surrogate}/u.test(value), "a path"),
);

/**
 * Returns whether a value has the methods of an AbortSignal. The class is not checked because a signal may come from
 * another realm, as in tests that run in a vm context. A value that throws when it is read, such as a revoked proxy, is
 * not a signal.
 */
export function isAbortSignal(value: unknown): value is AbortSignal {
  if (typeof value !== "object" || value === null) return false;
  try {
    const { aborted, addEventListener, removeEventListener, throwIfAborted } = value as Partial<AbortSignal>;
    const methods = [addEventListener, removeEventListener, throwIfAborted];
    return typeof aborted === "boolean" && methods.every((method) => typeof method === "function");
  } catch {
    return false;
  }
}

/** The options of all long-running calls. */
export const longCall = {
  signal: v.optional(v.custom<AbortSignal>(isAbortSignal, "AbortSignal")),
  onProgress: v.optional(v.function() as v.GenericSchema<(fraction: number) => void>),
};
