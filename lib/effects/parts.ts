import type { BypassEffects, ContributionChange } from "./result.js";

/** Returns the name of a part, such as "MLP 6". */
export const partName = ({ part, block }: Pick<ContributionChange, "part" | "block">): string =>
  `${part === "mlp" ? "MLP" : "attention"} ${block}`;

/** Returns the parts that the bypass does not replace, the largest rise of the contribution first. */
export function recomputed({ changes }: BypassEffects): ContributionChange[] {
  return changes.filter(({ bypassed }) => !bypassed).sort((a, b) => b.changeFrozen.value - a.changeFrozen.value);
}
