import type { NativePlan } from "../addon/native.js";
import type { Bootstrap, Interval } from "../statistics/bootstrap.js";
import { mean } from "../statistics/statistics.js";
import type { PlanRows } from "./measure-rows.js";
import type { BypassEffects, ContributionChange, Contributions, Effect, EffectsResult, RowEffect } from "./result.js";

type Column = ArrayLike<number>;
type Quantity = "logLikelihood" | "logit";

/** Returns left - right for each row. */
const minus = (left: Column, right: Column) => Array.from(left, (value, row) => value - (right[row] as number));

/** Returns the mean of the rows and its interval. */
const interval = (column: Column, bootstrap: Bootstrap): Interval =>
  bootstrap.interval([[Array.from(column)]], ([means]) => (means as number[])[0] as number);

/** The indices of the parts in `PlanRows.contributions`. */
const places = { embedding: 0, attention: (block: number) => 1 + 2 * block, mlp: (block: number) => 2 + 2 * block };

function contributionsOf({ contributions }: PlanRows): Contributions {
  const means = contributions.map((column) => mean(column));
  const at = (place: number) => means[place] as number;
  const blocks = Array.from({ length: means.length / 2 - 1 }, (_, block) => block);
  return {
    embedding: at(places.embedding),
    attention: blocks.map((block) => at(places.attention(block))),
    mlp: blocks.map((block) => at(places.mlp(block))),
    shift: at(means.length - 1),
  };
}

/** Returns the values of the unmodified model. */
export function toBase(base: PlanRows, bootstrap: Bootstrap): EffectsResult["base"] {
  const { logLikelihood, logit } = base.total;
  return {
    logLikelihood: interval(logLikelihood, bootstrap),
    logit: interval(logit, bootstrap),
    contributions: contributionsOf(base),
    perRow: Array.from(logit, (value, row) => ({ logLikelihood: logLikelihood[row] as number, logit: value })),
  };
}

/** The changes of a quantity, one value for each row. */
function changesOf(quantity: Quantity, base: PlanRows, { total, direct, frozen }: PlanRows) {
  const before = base.total[quantity];
  return {
    total: minus(total[quantity], before),
    direct: minus(direct[quantity], before),
    directFrozen: minus(frozen[quantity], before),
  };
}

function toEffect({ total, direct, directFrozen }: ReturnType<typeof changesOf>, bootstrap: Bootstrap): Effect {
  return {
    total: interval(total, bootstrap),
    direct: interval(direct, bootstrap),
    directFrozen: interval(directFrozen, bootstrap),
    compensation: interval(minus(total, direct), bootstrap),
    compensationFrozen: interval(minus(total, directFrozen), bootstrap),
  };
}

/** Returns what the final norm's standard deviation changes of the logit, for each row. */
function normOf({ total, frozenContributions }: PlanRows): number[] {
  return Array.from(total.logit, (logit, row) =>
    frozenContributions.reduce((left, column) => left - (column[row] as number), logit),
  );
}

/** Returns the parts that can change under a plan, from the first bypassed block on. */
function changes(base: PlanRows, bypassed: PlanRows, plan: NativePlan, bootstrap: Bootstrap): ContributionChange[] {
  const first = plan.findIndex(({ mode, mlpMode }) => mode !== "none" || mlpMode !== "none");
  if (first < 0) return [];
  const changed = (which: "contributions" | "frozenContributions", place: number) =>
    interval(minus(bypassed[which][place] as Column, base[which][place] as Column), bootstrap);
  return plan.slice(first).flatMap(({ mode, mlpMode }, index) =>
    (["attention", "mlp"] as const).map((part) => {
      const block = first + index;
      const place = places[part](block);
      return {
        block,
        part,
        bypassed: (part === "attention" ? mode : mlpMode) !== "none",
        change: changed("contributions", place),
        changeFrozen: changed("frozenContributions", place),
      };
    }),
  );
}

/** Returns the effects of one bypass. */
export function toEffects(
  base: PlanRows,
  bypassed: PlanRows,
  plan: NativePlan,
  bootstrap: Bootstrap,
): Pick<BypassEffects, "logLikelihood" | "logit" | "contributions" | "changes" | "perRow"> {
  const logLikelihood = changesOf("logLikelihood", base, bypassed);
  const logit = changesOf("logit", base, bypassed);
  const inRow = ({ total, direct, directFrozen }: typeof logit, row: number): RowEffect => ({
    total: total[row] as number,
    direct: direct[row] as number,
    directFrozen: directFrozen[row] as number,
  });
  return {
    logLikelihood: toEffect(logLikelihood, bootstrap),
    logit: { ...toEffect(logit, bootstrap), norm: interval(normOf(bypassed), bootstrap) },
    contributions: contributionsOf(bypassed),
    changes: changes(base, bypassed, plan, bootstrap),
    perRow: logit.total.map((_, row) => ({ logLikelihood: inRow(logLikelihood, row), logit: inRow(logit, row) })),
  };
}
