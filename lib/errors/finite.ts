import { types } from "node:util";
import { AttentionBypassError } from "./errors.js";

/** The greatest depth that is searched. Results are not so deep, but values from callers may be. */
const maxDepth = 32;

const isNumber = (value: number | bigint) => Number.isFinite(Number(value));

function search(value: unknown, place: string, depth: number, seen: Set<object>): string | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? undefined : place;
  if (value === null) return place;
  if (typeof value !== "object" || depth > maxDepth || seen.has(value)) return undefined;
  seen.add(value);
  if (types.isTypedArray(value)) return value.every(isNumber) ? undefined : place;
  // Keys, not indices: an array from a caller can have few elements and a length of billions.
  for (const key of Object.keys(value)) {
    const inside = Array.isArray(value) ? `${place}[${key}]` : place === "" ? key : `${place}.${key}`;
    const found = search((value as Record<string, unknown>)[key], inside, depth + 1, seen);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Returns the path to the first number in a value that is not finite, or to the first null, which JSON writes instead
 * of such a number; undefined if there is none.
 */
export function placeOfNonFinite(value: unknown): string | undefined {
  return search(value, "", 0, new Set());
}

/** Returns the value if all its numbers are finite. `name` is the name used in the message. Throws NOT_FINITE. */
export function requireFinite<Value extends object>(value: Value, name: string): Value {
  const place = placeOfNonFinite(value);
  if (place === undefined) return value;
  throw new AttentionBypassError(
    "NOT_FINITE",
    `expected finite numbers for ${name} but ${place} is NaN or infinite; try dtype "bfloat16" or "float32", or another ` +
      "bypass",
  );
}
