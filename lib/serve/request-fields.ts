import * as v from "valibot";
import { problemOf } from "../errors/validation.js";
import { ApiError } from "./api-error.js";

/** A field that may be null, which OpenAI's API takes as absent. */
export const field = <Schema extends v.GenericSchema>(schema: Schema) =>
  v.pipe(
    v.nullish(schema),
    v.transform((value) => value ?? undefined),
  );

const isEmpty = (value: unknown) =>
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === "object" && value !== null && Object.keys(value).length === 0);

const unsupported = "since this server does not support it";

/** A field of OpenAI's API that is not supported. Only values that change nothing are accepted. */
export const neutral = (...accepted: readonly unknown[]) =>
  v.optional(
    v.custom<unknown>(
      (value) => value === null || isEmpty(value) || accepted.includes(value),
      `${[...accepted, null].map((value) => JSON.stringify(value)).join(" or ")}, ${unsupported}`,
    ),
  );

export const integer = (from: number, to: number) =>
  v.pipe(
    v.number(),
    v.check(
      (value: number) => Number.isInteger(value) && value >= from && value <= to,
      `a whole number from ${from} to ${to}`,
    ),
  );

const range = (from: number, to: number) =>
  v.pipe(
    v.number(),
    v.check((value: number) => value >= from && value <= to, `a number from ${from} to ${to}`),
  );

/** The most stop texts, and the most characters of one. Each is searched for after every token. */
const mostStops = 16;
const longestStop = 256;
const stopText = v.pipe(
  v.string(),
  v.check((text: string) => text !== "" && text.length <= longestStop, `text of 1 to ${longestStop} characters`),
);

/** The fields that completions and chat completions have in common. */
export const commonFields = {
  model: v.string(),
  temperature: field(range(0, 100)),
  top_p: field(
    v.pipe(
      v.number(),
      v.check((value: number) => value > 0 && value <= 1, "a number above 0 and up to 1"),
    ),
  ),
  // 0 and -1 are what other servers take for all tokens.
  top_k: field(integer(-1, Number.MAX_SAFE_INTEGER)),
  n: field(integer(1, Number.MAX_SAFE_INTEGER)),
  stop: field(
    v.union(
      [stopText, v.pipe(v.array(stopText), v.maxLength(mostStops, `at most ${mostStops} texts`))],
      `text of 1 to ${longestStop} characters, or a list of at most ${mostStops} of these`,
    ),
  ),
  seed: field(integer(0, Number.MAX_SAFE_INTEGER)),
  stream: field(v.boolean()),
  stream_options: field(v.strictObject({ include_usage: field(v.boolean()), include_obfuscation: neutral(false) })),
  bypass: v.optional(v.unknown()),
  // It only names the end user.
  user: field(v.string()),
  frequency_penalty: neutral(0),
  presence_penalty: neutral(0),
  logit_bias: neutral(),
};

/** Checks the body of a request. Throws 400 with the field's name. */
export function checkBody<Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, body, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const param = v.getDotPath(issue)?.slice(0, 200);
  const details = param === undefined ? {} : { param };
  if (issue.type === "strict_object" && issue.expected === "never") {
    throw new ApiError(400, `expected only known fields but received ${param}`, { ...details, code: "unknown_field" });
  }
  if (issue.message.endsWith(unsupported)) {
    throw new ApiError(400, problemOf(issue), { ...details, code: "unsupported_parameter" });
  }
  throw new ApiError(400, param === undefined ? "expected a JSON object as the body" : problemOf(issue), details);
}
