import type { NativePlan } from "../addon/native.js";
import type { Dtype } from "../families/dtype.js";
import type { Session } from "../session/session.js";
import { inFloat32 } from "./rescoring.js";
import type { RowScores, ScoredRow } from "./scored-row.js";
import { type ScoringOptions, scoreInOwnDtype } from "./scoring.js";

/** Absolute differences from float32. */
export interface Difference {
  /** The mean of the absolute differences. */
  mean: number;
  /** The largest absolute difference. */
  largest: number;
}

/**
 * How much the model's dtype changes the scores, measured by scoring some of the rows in float32 as well, under every
 * bypass of a sweep.
 */
export interface PrecisionDifference {
  /** The dtype of the model. */
  dtype: Dtype;
  /** The dtype of the comparison. */
  reference: "float32";
  /** The number of compared rows, evenly spaced over all rows. */
  rows: number;
  /** The difference in log-likelihood per scored token, in nats, over the compared rows and all bypasses. */
  logLikelihood: Difference;
  /** The difference in entropy per scored token, in nats, over the compared rows and all bypasses. */
  entropy: Difference;
  /** The share of the compared rows, over all bypasses, whose exact match differs. From 0 to 1. */
  exactMatchChanged: number;
}

function difference(values: readonly number[]): Difference {
  const absolute = values.map(Math.abs);
  return {
    mean: absolute.reduce((sum, value) => sum + value, 0) / absolute.length,
    largest: absolute.reduce((most, value) => Math.max(most, value), 0),
  };
}

/** Returns `count` evenly spaced row indices. */
function spread(total: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.floor(((index + 0.5) * total) / count));
}

/** Scores some of the rows again in float32 and returns how much their scores differ. */
export async function compareWithFloat32(
  session: Session,
  rows: readonly ScoredRow[],
  plans: NativePlan[],
  scores: readonly RowScores[][],
  options: ScoringOptions & { rows: number },
): Promise<PrecisionDifference> {
  const chosen = spread(rows.length, Math.min(options.rows, rows.length));
  const compared = chosen.map((index) => ({ ...(rows[index] as ScoredRow), decode: false, rescore: false }));
  const reference = await scoreInOwnDtype(await inFloat32(session), compared, plans, options);
  const pairs = chosen.flatMap((index, place) =>
    plans.map((_, plan) => {
      const { tokens, first } = rows[index] as ScoredRow;
      return {
        length: tokens.length - first,
        ours: scores[index]?.[plan] as RowScores,
        theirs: reference[place]?.[plan] as RowScores,
      };
    }),
  );
  const matches = ({ extractable }: RowScores, length: number) => extractable === length;
  const perToken = (field: "logLikelihood" | "entropy") =>
    difference(pairs.map(({ length, ours, theirs }) => (ours[field] - theirs[field]) / length));
  const changed = pairs.filter(({ length, ours, theirs }) => matches(ours, length) !== matches(theirs, length));
  return {
    dtype: session.dtype,
    reference: "float32",
    rows: chosen.length,
    logLikelihood: perToken("logLikelihood"),
    entropy: perToken("entropy"),
    exactMatchChanged: changed.length / pairs.length,
  };
}
