import type { NativePlan } from "../addon/native.js";
import type { Dtype } from "../families/dtype.js";
import type { Session } from "../session/session.js";
import { inFloat32 } from "./rescoring.js";
import type { RowScores, ScoredRow } from "./scored-row.js";
import { type ScoringOptions, scoreInOwnDtype } from "./scoring.js";

/** A difference from float32, by its absolute values. */
export interface Difference {
  /** Their mean. */
  mean: number;
  /** The largest. */
  largest: number;
}

/** What a dtype changes, found out by scoring some of the rows in float32 too, under every bypass of a sweep. */
export interface PrecisionDifference {
  /** The model's. */
  dtype: Dtype;
  /** What it is compared with. */
  reference: "float32";
  /** How many rows were compared, spread over all of them. */
  rows: number;
  /** Of each compared row's log-likelihood under each bypass, per scored token; nats. */
  logLikelihood: Difference;
  /** The same of its entropy. */
  entropy: Difference;
  /** The share of the compared rows, over all bypasses, whose exact match changes. */
  exactMatchChanged: number;
}

function difference(values: readonly number[]): Difference {
  const absolute = values.map(Math.abs);
  return {
    mean: absolute.reduce((sum, value) => sum + value, 0) / absolute.length,
    largest: absolute.reduce((most, value) => Math.max(most, value), 0),
  };
}

/** Rows at equal distances. */
function spread(total: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.floor(((index + 0.5) * total) / count));
}

/** Compares what was scored with the same in float32, whose weights stay in their files but for a block at a time. */
export async function compareWithFloat32(
  session: Session,
  rows: readonly ScoredRow[],
  plans: NativePlan[],
  scores: readonly RowScores[][],
  options: ScoringOptions & { rows: number },
): Promise<PrecisionDifference> {
  const chosen = spread(rows.length, Math.min(options.rows, rows.length));
  const compared = chosen.map((index) => ({ ...(rows[index] as ScoredRow), decode: false, rescore: false }));
  const exact = await scoreInOwnDtype(await inFloat32(session), compared, plans, options);
  const pairs = chosen.flatMap((index, place) =>
    plans.map((_, plan) => {
      const { tokens, first } = rows[index] as ScoredRow;
      return {
        length: tokens.length - first,
        ours: scores[index]?.[plan] as RowScores,
        theirs: exact[place]?.[plan] as RowScores,
      };
    }),
  );
  const matches = ({ extractable }: RowScores, length: number) => extractable === length;
  const perToken = (field: "logLikelihood" | "entropy") =>
    difference(pairs.map(({ length, ours, theirs }) => (ours[field] - theirs[field]) / length));
  const other = pairs.filter(({ length, ours, theirs }) => matches(ours, length) !== matches(theirs, length));
  return {
    dtype: session.dtype,
    reference: "float32",
    rows: chosen.length,
    logLikelihood: perToken("logLikelihood"),
    entropy: perToken("entropy"),
    exactMatchChanged: other.length / pairs.length,
  };
}
