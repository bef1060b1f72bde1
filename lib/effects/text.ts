import { table } from "../display/text-form.js";
import type { Interval } from "../statistics/bootstrap.js";
import type { BypassEffects, ContributionChange, EffectsResult } from "./result.js";

const number = (value: number) => value.toPrecision(4);
const withInterval = ({ value, low, high }: Interval) => `${number(value)} [${number(low)}, ${number(high)}]`;

/** Returns the name of a part, such as "MLP 6". */
export const partName = ({ part, block }: Pick<ContributionChange, "part" | "block">): string =>
  `${part === "mlp" ? "MLP" : "attention"} ${block}`;

/** Returns the recomputed parts whose contribution rises, certain at 95 %, the largest change first. */
export function rising({ changes }: BypassEffects): ContributionChange[] {
  return changes
    .filter(({ bypassed, changeFrozen }) => !bypassed && changeFrozen.low > 0)
    .sort((a, b) => b.changeFrozen.value - a.changeFrozen.value);
}

/** Returns a table of the effects of each bypass on the log-likelihood of the suffix. */
export function effectsText({ base, rows, bypasses }: EffectsResult): string {
  const modes = new Set(bypasses.map(({ mode }) => mode));
  const lines = bypasses.map((bypass) => {
    const { name, mode, logLikelihood } = bypass;
    const [most] = rising(bypass);
    return [
      modes.size > 1 ? `${name}, ${mode}` : name,
      withInterval(logLikelihood.total),
      withInterval(logLikelihood.direct),
      withInterval(logLikelihood.compensation),
      most === undefined ? "none" : `${partName(most)} (+${number(most.changeFrozen.value)})`,
    ];
  });
  return (
    `${table([["bypass", "total", "direct", "compensation", "rises most"], ...lines])}\n` +
    `change of the log-likelihood of the suffix, in nats, and of the logits of its tokens (last column); mean of ${rows} ` +
    `${rows === 1 ? "row" : "rows"} with 95 % intervals; unmodified: ${withInterval(base.logLikelihood)} nats\n`
  );
}
