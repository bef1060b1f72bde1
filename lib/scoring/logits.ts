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

/** The logits of the next token at every position of every row. */
export interface Logits {
  /** Row after row, position after position; NaN behind the end of a row that is shorter than others. */
  data: Float32Array;
  /** Rows, tokens of the longest row, vocabulary. */
  shape: [rows: number, length: number, vocabulary: number];
}

const schema = v.strictObject({ ...longCall, bypass: v.optional(v.unknown()) });

const floatBytes = 4;

/** What both a buffer and an array of floats hold, in whichever version of Node. */
const mostNumbers = Math.min(Math.floor(constants.MAX_LENGTH / floatBytes), 2 ** 32 - 1);

/** Throws RESULT_TOO_LARGE, OUT_OF_MEMORY. */
function requireRoom([rows, length, vocabulary]: Logits["shape"]): void {
  const count = rows * length * vocabulary;
  const what = `logits of ${rows} rows x ${length} tokens x ${vocabulary}`;
  if (count > mostNumbers) {
    throw new AttentionBypassError(
      "RESULT_TOO_LARGE",
      `expected at most ${mostNumbers} numbers for the ${what} but they are ${count}; ask for fewer rows in one call`,
    );
  }
  const available = process.availableMemory();
  if (count * floatBytes > available) {
    throw new AttentionBypassError(
      "OUT_OF_MEMORY",
      `expected at most the ${available} bytes that are available for the ${what} but they take ${count * floatBytes}; ` +
        "ask for fewer rows in one call",
    );
  }
}

/** The same numbers in an array of the realm of this module's caller, where the addon is of another, as in a vm context. */
function ofThisRealm(data: Float32Array): Float32Array {
  return data instanceof Float32Array
    ? data
    : new Float32Array((data as Float32Array).buffer, (data as Float32Array).byteOffset, (data as Float32Array).length);
}

/** The logits of the next token at every position of one row or several. */
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
