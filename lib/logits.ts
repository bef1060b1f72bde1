import * as v from "valibot";
import { type Bypass, toPlan } from "./bypass.js";
import { type OperationOptions, run } from "./operation.js";
import type { Session } from "./session.js";
import { isBatch, requireContext, type Tokens, toNativeRows, toRow } from "./tokens.js";
import { longCall, validate } from "./validation.js";

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

const schema = v.strictObject({ ...longCall, bypass: v.optional(v.any()) });

/** The logits of the next token at every position of one row or several. */
export async function logits(
  session: Session,
  tokens: string | Tokens | readonly (string | Tokens)[],
  options: LogitsOptions = {},
): Promise<Logits> {
  validate(schema, options, "options");
  const plan = toPlan(options.bypass, session.config);
  const rows = (isBatch(tokens) ? tokens : [tokens]).map((row, index) => {
    const name = isBatch(tokens) ? `tokens[${index}]` : "tokens";
    const ids = toRow(row, session, name);
    requireContext(ids.length, session.config, name);
    return ids;
  });
  const data = await run(session.addon, options, (control) => session.native.logits(toNativeRows(rows), plan, control));
  return { data, shape: [rows.length, Math.max(...rows.map((row) => row.length)), session.config.vocabularySize] };
}
