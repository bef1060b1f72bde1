import * as v from "valibot";
import { AttentionBypassError, type ErrorCode } from "./errors.js";

/** A value as an error message shows it. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return value.constructor?.name ?? "an object";
  return typeof value === "function" ? "a function" : String(value);
}

export function invalidArgument(name: string, expected: string, received: unknown): AttentionBypassError {
  return new AttentionBypassError(
    "INVALID_ARGUMENT",
    `expected ${expected} for ${name} but received ${describe(received)}`,
  );
}

/** The value as the schema has it. Throws an error that names the argument and the place in it. */
export function validate<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  name: string,
  code: ErrorCode = "INVALID_ARGUMENT",
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const place = [name, v.getDotPath(issue)].filter(Boolean).join(".");
  if (issue.type === "strict_object" && issue.expected === "never") {
    throw new AttentionBypassError(code, `expected no option of the name ${place}`);
  }
  const expected =
    issue.kind === "validation" || issue.type === "union" ? issue.message : (issue.expected ?? issue.message);
  throw new AttentionBypassError(code, `expected ${expected} for ${place} but received ${describe(issue.input)}`);
}

/** Building blocks of schemas. Messages complete "expected … for NAME but received VALUE". */
export const wholeNumber = (from: number, message = `a whole number from ${from} up`) =>
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
  v.check((value: string) => value !== "" && !value.includes("\0"), "a path"),
);

/** What every long call takes. */
export const longCall = {
  signal: v.optional(v.instance(AbortSignal)),
  onProgress: v.optional(v.function() as v.GenericSchema<(share: number) => void>),
};
