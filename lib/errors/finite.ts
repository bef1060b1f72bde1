import { types } from "node:util";
import { AttentionBypassError } from "./errors.js";

/** Results are not so deep; what comes from outside may be. */
const deepest = 32;

const isNumber = (value: number | bigint) => Number.isFinite(Number(value));

function search(value: unknown, place: string, depth: number, seen: Set<object>): string | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? undefined : place;
  if (value === null) return place;
  if (typeof value !== "object" || depth > deepest || seen.has(value)) return undefined;
  seen.add(value);
  if (types.isTypedArray(value)) return value.every(isNumber) ? undefined : place;
  // By its keys: an array from outside may be longer than it has elements.
  for (const key of Object.keys(value)) {
    const inside = Array.isArray(value) ? `${place}[${key}]` : place === "" ? key : `${place}.${key}`;
    const found = search((value as Record<string, unknown>)[key], inside, depth + 1, seen);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Where in a value the first number stands that is not finite, or null, which is what JSON makes of one; undefined if
 * there is none.
 */
export function placeOfNonFinite(value: unknown): string | undefined {
  return search(value, "", 0, new Set());
}

/** A result all of whose numbers are finite; `of` is what it was measured of. Throws NOT_FINITE. */
export function requireFinite<Value extends object>(value: Value, of: string): Value {
  const place = placeOfNonFinite(value);
  if (place === undefined) return value;
  throw new AttentionBypassError(
    "NOT_FINITE",
    `expected finite numbers for ${of} but ${place} is NaN or more than a number holds; another dtype ("bfloat16" or ` +
      `"float32") or another bypass may keep within its range`,
  );
}
