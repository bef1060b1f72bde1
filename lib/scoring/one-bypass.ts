import * as v from "valibot";
import type { NativePlan } from "../addon/native.js";
import { longCall, wholeNumber } from "../errors/validation.js";
import type { OperationOptions } from "../operation/operation.js";
import { defaultMemory } from "../session/memory-budget.js";
import type { Session } from "../session/session.js";
import { scoreRows } from "./rescoring.js";
import type { RowScores, ScoredRow } from "./scored-row.js";
import { plainSampling, type SamplingScheme } from "./scoring.js";

/** The schema of the options that all calls have which score rows under one bypass. */
export const oneBypass = {
  ...longCall,
  // toPlan checks it.
  bypass: v.optional(v.unknown()),
  memory: v.optional(wholeNumber(1)),
};

/** Returns the scores of rows under one plan, with the options of the call. */
export async function scoreUnder(
  session: Session,
  rows: readonly ScoredRow[],
  plan: NativePlan,
  { signal, onProgress, memory = defaultMemory(session) }: OperationOptions & { memory?: number | undefined },
  scheme: SamplingScheme = plainSampling,
): Promise<RowScores[]> {
  const scores = await scoreRows(session, rows, [plan], { signal, onProgress, memory, scheme });
  return scores.map(([only]) => only as RowScores);
}
