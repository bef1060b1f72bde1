import { partNames } from "../bypass/bypassed-parts.js";
import { partName, recomputed } from "../effects/parts.js";
import type { BypassEffects, Effect, EffectsResult } from "../effects/result.js";
import { Bootstrap, type Interval } from "../statistics/bootstrap.js";
import { percent, withInterval } from "./tables.js";

type Quantity = "logLikelihood" | "logit";

/** The most bypasses with sentences of their own. */
const mostSentences = 3;
/** The most parts that a sentence names. */
const mostParts = 3;
/** Later parts add nothing if they add less than this share of the direct effect. Rounding is far below it. */
const negligible = 1e-3;

const digits = (value: number) => Number(value.toPrecision(3)).toString();

/** Returns a number of nats or logits with its interval, such as 12.3 [11.1, 13.6]. */
export const withEnds = ({ value, low, high }: Interval): string =>
  `${digits(value)} [${digits(low)}, ${digits(high)}]`;

const negated = ({ value, low, high }: Interval): Interval => ({ value: -value, low: -high, high: -low });

/** Returns 1 or -1 if the interval excludes 0, else 0. */
const signOf = ({ low, high }: Interval) => (low > 0 ? 1 : high < 0 ? -1 : 0);

/** What later parts do to a direct effect. */
export type Response = "nothing" | "compensates" | "amplifies" | "uncertain" | "no direct effect";

export function responseTo({ total, direct, compensation }: Effect): Response {
  const size = Math.max(Math.abs(total.value), Math.abs(direct.value));
  if (Math.max(Math.abs(compensation.low), Math.abs(compensation.high)) <= negligible * size) return "nothing";
  if (signOf(direct) === 0) return "no direct effect";
  if (signOf(compensation) === 0) return "uncertain";
  return signOf(compensation) === signOf(direct) ? "amplifies" : "compensates";
}

const partWords = { attention: "attention", mlp: "MLPs", both: "attention and MLPs" };

/** Returns what a bypass switches off, such as "the attention of block 3 (zero)". */
function subject({ name, part, mode, heads, blocks }: BypassEffects): string {
  if (heads !== undefined) return `${name} (${mode})`;
  const own = name.slice(0, name.length - partNames[part].length);
  const words = blocks.length === 1 ? partWords[part].replace("MLPs", "MLP") : partWords[part];
  return `the ${words} of ${own} (${mode})`;
}

const indistinguishable = "which is not distinguishable from 0 at 95 %";

/** Returns the total effect on a quantity, such as "lowers the log-likelihood of the suffix by 2.5 [2.1, 3] nats". */
function totalText(quantity: string, { total }: Effect, unit: string): string {
  const sign = signOf(total);
  if (sign === 0) return `changes ${quantity} by ${withEnds(total)}${unit}, ${indistinguishable}`;
  return `${sign < 0 ? "lowers" : "raises"} ${quantity} by ${withEnds(sign < 0 ? negated(total) : total)}${unit}`;
}

/** Returns the share of the direct effect that later parts remove, with its interval over rows. */
function shareMadeUp({ perRow }: BypassEffects, quantity: Quantity): Interval {
  const columns = (["total", "direct"] as const).map((which) => perRow.map((row) => row[quantity][which]));
  return new Bootstrap().interval([columns], ([means]) => 1 - (means?.[0] as number) / (means?.[1] as number));
}

/** Returns the direct effect and what later parts do to it. */
function responseText(bypass: BypassEffects, quantity: Quantity, unit: string): string {
  const { total, direct, compensation } = bypass[quantity];
  const effect = `the direct effect is ${withEnds(direct)}${unit}`;
  switch (responseTo(bypass[quantity])) {
    case "nothing":
      return `${effect}, to which later parts add nothing`;
    case "no direct effect":
      return `${effect}, ${indistinguishable}, so it acts through later parts`;
    case "uncertain":
      return `${effect}, and what later parts add is ${withEnds(compensation)}${unit}, ${indistinguishable}`;
    case "amplifies":
      return (
        `${effect}, and later parts do not make up for it but add ${withEnds(compensation)}${unit}, ` +
        `${percent(compensation.value / total.value)} of the total effect`
      );
    case "compensates":
      return `${effect}, so later parts, with the scale of the final norm, make up for ${withInterval(shareMadeUp(bypass, quantity))} of it`;
  }
}

/** Names the parts whose contribution to the logits rises, and those whose contribution falls. */
function partsText(bypass: BypassEffects): string {
  const parts = recomputed(bypass);
  const list = (some: typeof parts) =>
    some.map(
      (part) => `${partName(part)} (${part.changeFrozen.value > 0 ? "+" : ""}${digits(part.changeFrozen.value)})`,
    );
  const joined = (names: readonly string[]) =>
    names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  const rise = list(parts.filter(({ changeFrozen }) => signOf(changeFrozen) > 0).slice(0, mostParts));
  const fall = list(
    parts
      .filter(({ changeFrozen }) => signOf(changeFrozen) < 0)
      .slice(-mostParts)
      .reverse(),
  );
  if (rise.length + fall.length === 0) return "";
  const most = (names: readonly string[], verb: string) =>
    names.length === 0 ? `none ${verb}s at 95 %` : `${joined(names)} ${verb}${names.length === 1 ? "s" : ""} most`;
  return (
    ` With the scale of the final norm frozen, the bypass itself changes these logits by ` +
    `${withEnds(bypass.logit.directFrozen)}; of the contributions of later parts, ${most(rise, "rise")}, and ` +
    `${most(fall, "fall")}. The change of that scale adds ${withEnds(bypass.logit.norm)}.`
  );
}

function counts({ bypasses, rows }: EffectsResult): string[] {
  if (bypasses.length < 2) return [];
  // Intervals over one row are that row.
  const certainty = rows === 1 ? ", on this row" : ", each at 95 %";
  const sentence = (quantity: Quantity, words: string) => {
    const found = bypasses.map((bypass) => responseTo(bypass[quantity]));
    const count = (response: Response) => found.filter((one) => one === response).length;
    return (
      `In ${words}, later parts make up for some of the direct effect of ${count("compensates")} of ${bypasses.length} ` +
      `bypasses and increase that of ${count("amplifies")}${certainty}.`
    );
  };
  return [sentence("logLikelihood", "log-likelihood"), sentence("logit", "the logits of the true tokens")];
}

/**
 * Returns the bypasses with sentences of their own: those that are made up for, then those to which later parts add
 * something, each with the largest direct effects first.
 */
function chosen(bypasses: readonly BypassEffects[]): BypassEffects[] {
  const rank = ({ logLikelihood, logit }: BypassEffects) => {
    const responses = [responseTo(logLikelihood), responseTo(logit)];
    return responses.includes("compensates") ? 2 : responses.every((one) => one === "nothing") ? 0 : 1;
  };
  const size = ({ logLikelihood }: BypassEffects) => Math.abs(logLikelihood.direct.value);
  const most = new Set([...bypasses].sort((a, b) => rank(b) - rank(a) || size(b) - size(a)).slice(0, mostSentences));
  return bypasses.filter((bypass) => most.has(bypass));
}

const logits = "the sum of the logits of its tokens";

/** Returns the findings as sentences, also if nothing is made up for. */
export function effectsFindings(result: EffectsResult): string[] {
  const { base, rows, bypasses } = result;
  return [
    [
      `Without a bypass, the log-likelihood of the suffix is ${withEnds(base.logLikelihood)} nats, a mean over ${rows} ` +
        `${rows === 1 ? "row" : "rows"}.`,
      ...counts(result),
    ].join(" "),
    ...chosen(bypasses).map(
      (bypass) =>
        `Bypassing ${subject(bypass)} ${totalText("the log-likelihood of the suffix", bypass.logLikelihood, " nats")}: ` +
        `${responseText(bypass, "logLikelihood", " nats")}. It ${totalText(logits, bypass.logit, "")}: ` +
        `${responseText(bypass, "logit", "")}.${partsText(bypass)}`,
    ),
  ];
}
