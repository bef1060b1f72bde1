import * as v from "valibot";
import type { BypassMeans } from "../bypass/bypass.js";
import type { Samples } from "../data/samples.js";
import { requireFinite } from "../errors/finite.js";
import { longCall, validate, wholeNumber } from "../errors/validation.js";
import { readScorable } from "../metrics/memorization.js";
import { type OperationOptions, run } from "../operation/operation.js";
import type { Session } from "../session/session.js";
import { toNativeRows } from "../tokenizer/tokens.js";

/** Options of `model.attention`. */
export interface AttentionOptions extends OperationOptions {
  /** Not needed where samples say it themselves; all tokens count, whichever part they are in. Defaults to 1. */
  prefixLength?: number;
  /** Take the first rows alone. Defaults to all. */
  rows?: number;
}

/** What one block's attention adds to the residual stream. */
export interface BlockAttention {
  /** Mean over tokens of the L2 norm of what attention adds, as a share of that of the stream after the block. */
  share: number;
  /** The same of each head alone, without the output projection's bias. */
  heads: number[];
}

/** What attention adds to the residual stream over samples, and what it mixes on average. */
export interface AttentionSurvey {
  /** For each block. */
  blocks: BlockAttention[];
  /** For bypasses of the mode "mean". */
  means: BypassMeans;
  /** How many tokens the means are over. */
  tokens: number;
}

const schema = v.strictObject({
  ...longCall,
  prefixLength: v.optional(wholeNumber(1), 1),
  rows: v.optional(wholeNumber(1)),
});

/** What attention adds to the residual stream of the unmodified model, over all tokens of samples. */
export async function surveyAttention(
  session: Session,
  samples: Samples,
  options: AttentionOptions = {},
): Promise<AttentionSurvey> {
  const checked = validate(schema, options, "options");
  const rows = await readScorable(samples, checked, session);
  return measureAttention(
    session,
    rows.map((row) => row.tokens),
    checked,
  );
}

/** The same of rows of tokens. */
export async function measureAttention(
  session: Session,
  rows: readonly Int32Array[],
  options: OperationOptions,
): Promise<AttentionSurvey> {
  const { blocks, tokens } = await run(session.addon, options, (control) =>
    session.native.attention(toNativeRows(rows), control),
  );
  // Arrays of this module's realm, whichever the addon's is.
  const survey = {
    blocks: Array.from(blocks, ({ share, heads }) => ({ share, heads: [...heads] })),
    means: {
      blocks: Array.from(blocks, ({ mean }) => Float32Array.from(mean)),
      mlps: Array.from(blocks, ({ mlpMean }) => Float32Array.from(mlpMean)),
    },
    tokens,
  };
  return requireFinite(survey, `attention in ${session.dtype}`);
}
