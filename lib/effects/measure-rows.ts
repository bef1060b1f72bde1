import type { NativePlan, NativePlanEffects } from "../addon/native.js";
import { type OperationOptions, part, run } from "../operation/operation.js";
import { inBatchOrder, tokensOf } from "../scoring/groups.js";
import type { ScoredRow } from "../scoring/scored-row.js";
import { plainSampling, takeBatch } from "../scoring/scoring.js";
import type { Session } from "../session/session.js";

/** What the addon measured under one plan, one value for each row. */
export interface PlanRows {
  total: { logLikelihood: Float64Array; logit: Float64Array };
  direct: { logLikelihood: Float64Array; logit: Float64Array };
  frozen: { logLikelihood: Float64Array; logit: Float64Array };
  /** For each component: the embedding, attention and MLP of each block, the shift. */
  contributions: Float64Array[];
  frozenContributions: Float64Array[];
}

function emptyRows(rows: number, components: number): PlanRows {
  const column = () => new Float64Array(rows);
  const sums = () => ({ logLikelihood: column(), logit: column() });
  const columns = () => Array.from({ length: components }, column);
  return {
    total: sums(),
    direct: sums(),
    frozen: sums(),
    contributions: columns(),
    frozenContributions: columns(),
  };
}

/** Copies what was measured on a batch to the rows with these indices. */
function place(into: PlanRows, from: NativePlanEffects, indices: readonly number[]): void {
  const put = (column: Float64Array, values: Float64Array, begin = 0) => {
    for (const [at, row] of indices.entries()) column[row] = values[begin + at] as number;
  };
  for (const run of ["total", "direct", "frozen"] as const) {
    for (const what of ["logLikelihood", "logit"] as const) put(into[run][what], from[run][what]);
  }
  for (const which of ["contributions", "frozenContributions"] as const) {
    for (const [component, column] of into[which].entries()) put(column, from[which], component * indices.length);
  }
}

/**
 * Measures rows under plans, of which the first bypasses nothing. Each batch takes one forward pass for all plans
 * together.
 */
export async function measureRows(
  session: Session,
  rows: readonly ScoredRow[],
  plans: readonly NativePlan[],
  options: OperationOptions & { memory: number },
): Promise<PlanRows[]> {
  const { addon, native, config } = session;
  const { memory } = options;
  const scorer = new addon.Scorer(native, { plans, scheme: plainSampling, top: 0, memory, effects: true });
  const measured = plans.map(() => emptyRows(rows.length, 2 + 2 * config.blockCount));
  let left = inBatchOrder(rows);
  const total = tokensOf(left);
  for (let reached = 0; left.length > 0; ) {
    const batch = takeBatch(scorer, left, rows);
    left = left.slice(batch.length);
    const to = reached + tokensOf(batch);
    const found = await run(addon, part(options, reached / total, to / total), (control) => scorer.effects(control));
    reached = to;
    const indices = batch.flatMap((group) => group.rows);
    for (const [plan, effects] of [...found].entries()) place(measured[plan] as PlanRows, effects, indices);
  }
  return measured;
}
