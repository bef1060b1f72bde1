import { constants } from "node:buffer";
import * as v from "valibot";
import { type Bypass, toPlan } from "../bypass/bypass.js";
import { AttentionBypassError } from "../errors/errors.js";
import { longCall, validate } from "../errors/validation.js";
import { type OperationOptions, run } from "../operation/operation.js";
import type { Session } from "../session/session.js";
import { encodeAllAhead } from "../tokenizer/encode-ahead.js";
import { isBatch, longestOf, toContextRow, toContextRows, toNativeRows } from "../tokenizer/tokens.js";

/** Options of `model.logits`. */
export interface LogitsOptions extends OperationOptions {
  /** What to bypass. Defaults to nothing. */
  bypass?: Bypass;
}

/** Logits of the next token at every position of every row. */
export interface Logits {
  /** The values in row-major order, of the shape `shape`. Rows shorter than the longest are padded with NaN. */
  data: Float32Array;
  /** The number of rows, the number of tokens of the longest row, and the vocabulary size. */
  shape: [rows: number, length: number, vocabulary: number];
}

const schema = v.strictObject({ ...longCall, bypass: v.optional(v.unknown()) });

const floatBytes = 4;

/** The maximum length of a Float32Array and of its buffer, which depends on the version of Node. */
const maxNumbers = Math.min(Math.floor(constants.MAX_LENGTH / floatBytes), 2 ** 32 - 1);

/** Throws RESULT_TOO_LARGE, OUT_OF_MEMORY. */
function requireRoom([rows, length, vocabulary]: Logits["shape"]): void {
  const count = rows * length * vocabulary;
  const what = `logits of ${rows} rows x ${length} tokens x ${vocabulary}`;
  if (count > maxNumbers) {
    throw new AttentionBypassError(
      "RESULT_TOO_LARGE",
      `expected at most ${maxNumbers} numbers for the ${what} but received ${count}; pass fewer rows in one call`,
    );
  }
  const available = process.availableMemory();
  if (count * floatBytes > available) {
    throw new AttentionBypassError(
      "OUT_OF_MEMORY",
      `expected at most ${available} bytes, the available memory, for the ${what} but received ${count * floatBytes}; ` +
        "pass fewer rows in one call",
    );
  }
}

/**
 * Returns the numbers as a Float32Array of this module's realm. In a vm context the addon creates arrays of another
 * realm.
 */
function ofThisRealm(data: Float32Array): Float32Array {
  return data instanceof Float32Array
    ? data
    : new Float32Array((data as Float32Array).buffer, (data as Float32Array).byteOffset, (data as Float32Array).length);
}

/** Returns the logits of the next token at every position of one row or several. */
export async function logits(session: Session, tokens: unknown, options: LogitsOptions = {}): Promise<Logits> {
  const checked = validate(schema, options, "options");
  const plan = toPlan(checked.bypass, session.config);
  const { value } = await encodeAllAhead(tokens, session, "tokens", { signal: checked.signal, fits: true });
  const rows = isBatch(value, "tokens")
    ? toContextRows(value, session, "tokens")
    : [toContextRow(value, session, "tokens")];
  const shape: Logits["shape"] = [rows.length, longestOf(rows), session.config.vocabularySize];
  requireRoom(shape);
  const data = await run(session.addon, checked, (control) => session.native.logits(toNativeRows(rows), plan, control));
  return { data: ofThisRealm(data), shape };
}
