import type { NativePlan } from "../addon/native.js";
import { complete, type OperationOptions, part, rising } from "../operation/operation.js";
import type { Session } from "../session/session.js";
import type { RowScores, ScoredRow } from "./scored-row.js";
import { type ScoringOptions, scoreInOwnDtype } from "./scoring.js";

/**
 * Rows whose logit margin is below this value, in nats, are rescored first. The changes then decide whether more rows
 * follow.
 */
const firstTolerance = 1 / 16;

/**
 * Margins below this many times the root mean square change are rescored. If changes are Gaussian, 1 in 16,000 is
 * missed.
 */
const standardDeviations = 4;

/** The share of progress that is reported for scoring in half precision. Rescoring in float32 is the rest. */
const scoringShare = 0.9;

/** The share of the remaining progress that one round of rescoring takes, since the number of rounds is not known. */
const roundShare = 0.9;

/** Returns the session with its weights in float32. */
export async function inFloat32(session: Session): Promise<Session> {
  return { ...session, native: await session.float32.get(), dtype: "float32", rounds: false };
}

const lengthOf = ({ tokens, first }: ScoredRow) => tokens.length - first;

function rootMeanSquare(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

/** The rows to rescore under one plan. */
interface Doubtful {
  plan: number;
  /** The indices of the rows. */
  indices: number[];
}

/**
 * Returns the scores of rows under one plan in float32. A row is decoded again only if it matched in half precision and
 * does not match in float32. If it matches in float32, greedy decoding gives the row itself; otherwise its decoded
 * tokens stay.
 */
async function rescore(
  session: Session,
  rows: readonly ScoredRow[],
  before: readonly RowScores[],
  plan: NativePlan,
  options: ScoringOptions,
): Promise<RowScores[]> {
  const float32 = await inFloat32(session);
  const score = async (some: readonly ScoredRow[], decode: boolean, operation: OperationOptions) => {
    const toScore = some.map((row) => ({ ...row, decode: row.decode && decode }));
    const scores = await scoreInOwnDtype(float32, toScore, [plan], {
      ...options,
      ...operation,
      known: undefined,
      onRows: undefined,
    });
    return scores.map(([only]) => only as RowScores);
  };
  const scores = await score(rows, false, part(options, 0, scoringShare));
  const matched = (row: number, all: readonly RowScores[]) =>
    all[row]?.extractable === lengthOf(rows[row] as ScoredRow);
  const lost = [...rows.keys()].filter((row) => matched(row, before) && !matched(row, scores));
  const decoded = await score(
    lost.map((row) => rows[row] as ScoredRow),
    true,
    part(options, scoringShare, 1),
  );
  const decodedAgain = new Map(lost.map((row, place) => [row, decoded[place] as RowScores]));
  return scores.map((row, index) => {
    const again = decodedAgain.get(index);
    if (again) return again;
    const { decoded, editDistance, commonSubsequence } = before[index] as RowScores;
    const { decode, compare } = rows[index] as ScoredRow;
    if (!decode || !matched(index, scores)) return { ...row, decoded, editDistance, commonSubsequence };
    const length = lengthOf(rows[index] as ScoredRow);
    return { ...row, decoded: length, editDistance: 0, commonSubsequence: compare ? length : 0 };
  });
}

/** Rescores rows in float32 under the plans for which half precision cannot decide their exact match. */
async function rescoreDoubtful(
  session: Session,
  rows: readonly ScoredRow[],
  plans: readonly NativePlan[],
  scores: readonly RowScores[][],
  options: ScoringOptions,
): Promise<RowScores[][]> {
  const rescored = scores.map((row) => [...row]);
  const scoresUnder = (row: number, plan: number) => scores[row]?.[plan] as RowScores;
  const within = (least: number, most: number): Doubtful[] =>
    plans
      .map((_, plan) => ({
        plan,
        indices: [...rows.keys()].filter((row) => {
          const margin = Math.abs(scoresUnder(row, plan).margin);
          return rows[row]?.rescore && margin >= least && margin < most;
        }),
      }))
      .filter(({ indices }) => indices.length > 0);
  const changes: number[] = [];
  let reached = 0;
  for (let from = 0, to = firstTolerance; from < to; ) {
    const doubtful = within(from, to);
    const total = doubtful.reduce((count, { indices }) => count + indices.length, 0);
    const round = roundShare * (1 - reached);
    for (const { plan, indices } of doubtful) {
      const end = reached + (round * indices.length) / total;
      const exact = await rescore(
        session,
        indices.map((row) => rows[row] as ScoredRow),
        indices.map((row) => scoresUnder(row, plan)),
        plans[plan] as NativePlan,
        { ...options, ...part(options, reached, end) },
      );
      for (const [place, row] of indices.entries()) {
        const score = exact[place] as RowScores;
        changes.push(score.margin - scoresUnder(row, plan).margin);
        (rescored[row] as RowScores[])[plan] = score;
      }
      reached = end;
    }
    from = to;
    to = Math.max(to, changes.length === 0 ? 0 : standardDeviations * rootMeanSquare(changes));
  }
  return rescored;
}

/**
 * Returns the scores of rows under plans, [row][plan]. In half precision, rows whose exact match rounding could change
 * are rescored in float32.
 */
export async function scoreRows(
  session: Session,
  rows: readonly ScoredRow[],
  plans: readonly NativePlan[],
  requested: ScoringOptions,
): Promise<RowScores[][]> {
  const options = { ...requested, ...rising(requested) };
  const share = session.rounds && rows.some((row) => row.rescore) ? scoringShare : 1;
  const scores = await scoreInOwnDtype(session, rows, plans, { ...options, ...part(options, 0, share) });
  const final =
    share === 1
      ? scores
      : await rescoreDoubtful(session, rows, plans, scores, { ...options, ...part(options, share, 1) });
  await complete(options);
  return final;
}
