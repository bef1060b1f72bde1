import { table, wrap } from "../display/text-form.js";
import type { Interval } from "../statistics/bootstrap.js";
import { partName, recomputed } from "./parts.js";
import type { BypassEffects, EffectsResult } from "./result.js";

const number = (value: number) => value.toPrecision(3);
const withInterval = ({ value, low, high }: Interval) => `${number(value)} [${number(low)}, ${number(high)}]`;

/** Returns the recomputed part whose contribution rises most, if it rises at 95 %. */
function mostRising(bypass: BypassEffects): string {
  const [most] = recomputed(bypass);
  return most === undefined || most.changeFrozen.low <= 0
    ? "none"
    : `${partName(most)}: +${number(most.changeFrozen.value)}`;
}

/** Returns a table of the effects of each bypass on the log-likelihood of the suffix. */
export function effectsText({ base, rows, bypasses }: EffectsResult): string {
  const severalModes = new Set(bypasses.map(({ mode }) => mode)).size > 1;
  const lines = bypasses.map((bypass) => {
    const { name, mode, logLikelihood } = bypass;
    const { total, direct, compensation } = logLikelihood;
    return [
      severalModes ? `${name}, ${mode}` : name,
      ...[total, direct, compensation].map(withInterval),
      mostRising(bypass),
    ];
  });
  const note =
    `The log-likelihood of the suffix is ${withInterval(base.logLikelihood)} nats without a bypass, a mean over ${rows} ` +
    `${rows === 1 ? "row" : "rows"} with its 95 % interval. Effects are changes of it; compensation is total - direct. The ` +
    "last column is the part after the bypass whose contribution to the logits of the true tokens rises most.";
  return `${table([["bypass", "total", "direct", "compensation", "rises most"], ...lines])}\n${wrap(note)}\n`;
}
