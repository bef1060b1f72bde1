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
  /**
   * The number of prefix tokens of each row, needed only to read the samples: both prefix and suffix are measured.
   * Defaults to 1.
   */
  prefixLength?: number;
  /** Measure only this many rows, from the first on. Defaults to all. */
  rows?: number;
}

/** The attention output of one block, relative to the residual stream. */
export interface BlockAttention {
  /** The L2 norm of the attention output divided by that of the residual stream after the block, a mean over tokens. */
  share: number;
  /**
   * The same ratio for each head's own part of the attention output, which excludes the bias of the output projection.
   */
  heads: number[];
}

/** The size of the attention outputs of all blocks over samples, and the mean outputs for mean bypasses. */
export interface AttentionSurvey {
  /** The attention output of each block. */
  blocks: BlockAttention[];
  /** The mean outputs, for bypasses with the mode "mean". */
  means: BypassMeans;
  /** The number of tokens that the means are over. */
  tokens: number;
}

const schema = v.strictObject({
  ...longCall,
  prefixLength: v.optional(wholeNumber(1), 1),
  rows: v.optional(wholeNumber(1)),
});

/** Measures the attention outputs of the unmodified model over all tokens of samples. */
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

/** Measures the attention outputs of the unmodified model over rows of tokens. */
export async function measureAttention(
  session: Session,
  rows: readonly Int32Array[],
  options: OperationOptions,
): Promise<AttentionSurvey> {
  const { blocks, tokens } = await run(session.addon, options, (control) =>
    session.native.attention(toNativeRows(rows), control),
  );
  // Copied to arrays of this module's realm: in a vm context the addon's arrays are of another.
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
