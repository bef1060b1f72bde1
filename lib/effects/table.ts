import type { Effect, EffectsResult } from "./result.js";

const columns = ["total", "direct", "directFrozen", "compensation", "compensationFrozen"] as const;

/**
 * Returns a header, then a row for each bypass: name, part, blocks, mode, and the effects on the log-likelihood and the
 * logits of the suffix, each with the ends of its interval.
 */
export function effectsTable({ bypasses }: EffectsResult): (string | number)[][] {
  const named = (what: string, names: readonly string[]) =>
    names.flatMap((name) => [`${what} ${name}`, `${what} ${name} low`, `${what} ${name} high`]);
  const cells = (effect: Effect) =>
    columns.flatMap((column) => [effect[column].value, effect[column].low, effect[column].high]);
  return [
    ["name", "part", "blocks", "mode", ...named("logLikelihood", columns), ...named("logit", [...columns, "norm"])],
    ...bypasses.map(({ name, part, blocks, mode, logLikelihood, logit }) => [
      name,
      part,
      blocks.join(" "),
      mode,
      ...cells(logLikelihood),
      ...cells(logit),
      logit.norm.value,
      logit.norm.low,
      logit.norm.high,
    ]),
  ];
}
