import type { NativePlan } from "../addon/native.js";
import { type OperationOptions, part } from "../operation/operation.js";
import type { Session } from "../session/session.js";
import { type RowScores, type ScoredRow, type ScoringOptions, walkRows } from "./scoring.js";

/** Below this margin, in nats, float32 decides at first; what it changes says whether that was enough. */
const firstTolerance = 1 / 16;

/** So many times the usual change of a margin make another sign of it unlikely (1 in 16,000, were it Gaussian). */
const standardDeviations = 4;

/** The session with its weights in float32. */
export async function inFloat32(session: Session): Promise<Session> {
  return { ...session, native: await session.float32.get(), dtype: "float32" };
}

const lengthOf = ({ tokens, first }: ScoredRow) => tokens.length - first;

function rootMeanSquare(values: readonly number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

/**
 * The scores of rows under one plan in float32. What greedy generation gives free running is the row itself where it
 * matches, and is generated anew only where it matched before and no longer does; elsewhere it stays as it was.
 */
async function rescore(
  session: Session,
  rows: readonly ScoredRow[],
  before: readonly RowScores[],
  plan: NativePlan,
  options: ScoringOptions,
): Promise<RowScores[]> {
  const exact = await inFloat32(session);
  const score = async (some: readonly ScoredRow[], decode: boolean) => {
    const walked = some.map((row) => ({ ...row, decode: row.decode && decode }));
    const scores = await walkRows(exact, walked, [plan], { ...options, onRows: undefined });
    return scores.map(([only]) => only as RowScores);
  };
  const scores = await score(rows, false);
  const matched = (row: number, all: readonly RowScores[]) =>
    all[row]?.extractable === lengthOf(rows[row] as ScoredRow);
  const lost = [...rows.keys()].filter((row) => matched(row, before) && !matched(row, scores));
  const decoded = await score(
    lost.map((row) => rows[row] as ScoredRow),
    true,
  );
  return scores.map((row, index) => {
    if (lost.includes(index)) return decoded[lost.indexOf(index)] as RowScores;
    const length = matched(index, scores) && rows[index]?.decode ? lengthOf(rows[index]) : before[index]?.decoded;
    return { ...row, decoded: length as number };
  });
}

/** Scores in float32 those rows, under those plans, whose exact match hangs by less than the dtype can tell. */
async function settle(
  session: Session,
  rows: readonly ScoredRow[],
  plans: NativePlan[],
  scores: readonly RowScores[][],
  options: ScoringOptions,
): Promise<RowScores[][]> {
  const settled = scores.map((row) => [...row]);
  const scoresUnder = (row: number, plan: number) => scores[row]?.[plan] as RowScores;
  const changes: number[] = [];
  let operation: OperationOptions = options;
  for (let from = 0, to = firstTolerance; from < to; ) {
    const [least, most] = [from, to];
    for (const [plan, blocks] of plans.entries()) {
      const open = [...rows.keys()].filter((row) => {
        const margin = Math.abs(scoresUnder(row, plan).margin);
        return rows[row]?.settle && margin >= least && margin < most;
      });
      if (open.length === 0) continue;
      const exact = await rescore(
        session,
        open.map((row) => rows[row] as ScoredRow),
        open.map((row) => scoresUnder(row, plan)),
        blocks,
        { ...options, ...part(operation, plan / plans.length, (plan + 1) / plans.length) },
      );
      for (const [place, row] of open.entries()) {
        const score = exact[place] as RowScores;
        changes.push(score.margin - scoresUnder(row, plan).margin);
        (settled[row] as RowScores[])[plan] = score;
      }
    }
    // What comes after the first time is little, and its progress has been told.
    operation = { signal: options.signal };
    from = to;
    to = Math.max(to, changes.length === 0 ? 0 : standardDeviations * rootMeanSquare(changes));
  }
  return settled;
}

/**
 * Scores rows under plans, [row][plan], with exact matches that half precision does not change: where a row's greedy
 * path hangs by less than rounding moves it, float32 decides.
 */
export async function scoreRows(
  session: Session,
  rows: readonly ScoredRow[],
  plans: NativePlan[],
  options: ScoringOptions,
  done?: Map<number, RowScores[]>,
): Promise<RowScores[][]> {
  if (session.dtype === "float32" || !rows.some((row) => row.settle)) {
    return walkRows(session, rows, plans, options, done);
  }
  // As much of the work as it usually is.
  const scores = await walkRows(session, rows, plans, { ...options, ...part(options, 0, 0.9) }, done);
  return settle(session, rows, plans, scores, { ...options, ...part(options, 0.9, 1) });
}
