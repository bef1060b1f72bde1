import { partName } from "../effects/parts.js";
import type { BypassEffects, EffectsResult } from "../effects/result.js";
import { withEnds } from "./effects-findings.js";
import type { ReportTable } from "./report-table.js";

/** The most parts that the table of contributions shows for each bypass. */
const mostParts = 6;

const columns = ["total", "direct", "directFrozen", "compensation", "compensationFrozen"] as const;
const names = ["total", "direct", "direct, frozen scale", "compensation", "compensation, frozen scale"];

function effectTable(title: string, { bypasses }: EffectsResult, quantity: "logLikelihood" | "logit"): ReportTable {
  return {
    title,
    head: ["bypass", "mode", ...names],
    rows: bypasses.map((bypass) => [
      bypass.name,
      bypass.mode,
      ...columns.map((column) => withEnds(bypass[quantity][column])),
    ]),
  };
}

/** Returns the parts whose contribution changes most, in the order of the model. */
function largestChanges({ changes }: BypassEffects) {
  const size = ({ changeFrozen }: (typeof changes)[number]) => Math.abs(changeFrozen.value);
  const most = new Set([...changes].sort((a, b) => size(b) - size(a)).slice(0, mostParts));
  return changes.filter((change) => most.has(change));
}

/** Returns the tables of a result. */
export function effectsTables(result: EffectsResult): ReportTable[] {
  return [
    effectTable("Effects on the log-likelihood of the suffix, nats", result, "logLikelihood"),
    effectTable("Effects on the logits of the true tokens, summed over the suffix", result, "logit"),
    {
      title: "The largest changes of direct contributions to the logits of the true tokens",
      head: ["bypass", "mode", "part", "change, frozen scale", "change, own scale"],
      rows: result.bypasses.flatMap((bypass) =>
        largestChanges(bypass).map((change) => [
          bypass.name,
          bypass.mode,
          `${partName(change)}${change.bypassed ? " (bypassed)" : ""}`,
          withEnds(change.changeFrozen),
          withEnds(change.change),
        ]),
      ),
    },
  ];
}
