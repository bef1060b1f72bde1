import { formOf } from "../selectivity/metrics.js";
import { amount } from "../selectivity/sentences.js";
import type { Bootstrap, Interval } from "../statistics/bootstrap.js";
import { mean } from "../statistics/statistics.js";
import { claims, type Judgement, verdictOf } from "./paper-claims.js";
import { type AnalysedModel, lateBlockOf, quarter } from "./paper-model.js";
import { meanRemaining, type RemainingShares, remainingShare } from "./remaining.js";
import { modeVerb, type Setting } from "./setting.js";
import { withInterval } from "./tables.js";

/** Returns a difference of shares in points, such as 12.0 points [8.0, 16.0]. */
function points({ value, low, high }: Interval): string {
  const fixed = (share: number) => (Math.round(1000 * share) / 10 + 0).toFixed(1);
  return `${fixed(value)} points [${fixed(low)}, ${fixed(high)}]`;
}

/** Why memorization or ability can't be compared in a model. */
function missing({ relative, sweep }: AnalysedModel): string {
  if (relative.bypasses[0]?.memorization !== undefined) return "the unmodified model is not above chance on any task";
  return `the unmodified model matches none of ${sweep.base.memorization?.perRow.length ?? 0} samples`;
}

/** Returns whether both shares were measured. */
const complete = (one: RemainingShares | undefined): one is Required<RemainingShares> =>
  one?.memorization !== undefined && one.ability !== undefined;

const remains = ({ memorization, ability }: RemainingShares) =>
  `${withInterval(memorization)} of the memorization and ${withInterval(ability)} of the ability`;

const half = 0.5;

/** The paper: short-circuiting the last quarter drops memorization strongly and keeps most of the ability. */
function deep(model: AnalysedModel, setting: Setting): Judgement[] {
  const last = quarter(model, setting, 4);
  if (last === undefined) return [];
  const { mode } = setting;
  const bypass = `attention ${modeVerb(mode)} in the last quarter of the blocks`;
  const judgement = { claim: "deep", model: model.name, bypass, mode } as const;
  if (!complete(last)) return [{ ...judgement, verdict: "not measured", measured: missing(model) }];
  const { memorization, ability } = last;
  const removed = { low: half - memorization.high, high: half - memorization.low };
  const kept = { low: ability.low - half, high: ability.high - half };
  return [{ ...judgement, verdict: verdictOf(removed, kept), measured: `${remains(last)} remain` }];
}

/** Returns the tables of two bypasses side by side, so that each row and question is resampled for both. */
const paired = (one: RemainingShares, other: RemainingShares, what: "memorization" | "ability") =>
  one.tables[what].map((table, index) => [...table, ...(other.tables[what][index] ?? [])]);

/** Returns the remaining share of the second bypass minus that of the first, from paired means. */
const change = (means: readonly number[]) =>
  remainingShare(means.slice(means.length / 2)) - remainingShare(means.slice(0, means.length / 2));

/** The paper: attention in the early blocks carries ability. */
function early(model: AnalysedModel, setting: Setting, bootstrap: Bootstrap): Judgement[] {
  const [first, last] = [quarter(model, setting, 1), quarter(model, setting, 4)];
  if (first === undefined || last === undefined) return [];
  const { mode } = setting;
  const bypass = `attention ${modeVerb(mode)} in the first quarter of the blocks`;
  const judgement = { claim: "early", model: model.name, bypass, mode } as const;
  if (!first.ability) return [{ ...judgement, verdict: "not measured", measured: missing(model) }];
  const difference = bootstrap.interval(paired(first, last, "ability"), (means) => mean(means.map(change)));
  const measured = `${withInterval(first.ability)} of the ability remains, ${points(difference)} less than with the last quarter`;
  return [{ ...judgement, verdict: verdictOf(difference), measured }];
}

/** Compares attention with the MLPs of the same blocks, both zeroed. */
function mlps(model: AnalysedModel, bootstrap: Bootstrap): Judgement[] {
  const attention = quarter(model, { part: "attention", mode: "zero" }, 4);
  const other = quarter(model, { part: "mlp", mode: "zero" }, 4);
  if (attention === undefined || other === undefined) return [];
  const bypass = "attention or MLPs zeroed in the last quarter of the blocks";
  const judgement = { claim: "mlps", model: model.name, bypass, mode: "zero" } as const;
  if (!complete(attention) || !complete(other)) {
    return [{ ...judgement, verdict: "not measured", measured: missing(model) }];
  }
  const abilities = paired(other, attention, "ability");
  const difference = bootstrap.interval(
    [...abilities, ...paired(other, attention, "memorization")],
    (means) => mean(means.slice(0, abilities.length).map(change)) - mean(means.slice(abilities.length).map(change)),
  );
  const measured =
    `without attention ${remains(attention)} remain, without MLPs ${remains(other)}, a difference of ` +
    points(difference);
  return [{ ...judgement, verdict: verdictOf(difference), measured }];
}

/** With fewer random sets, no rank is in the top 5 %. */
const fewestSets = 19;

/** Compares the last quarter on memorized rows with control rows, and with random sets of as many blocks. */
function control({ name, selectivity }: AnalysedModel): Judgement[] {
  const [metric] = selectivity?.compared ?? [];
  if (selectivity === undefined || metric === undefined) return [];
  return selectivity.deepBlocks.flatMap(({ mode, metrics }): Judgement[] => {
    const found = metrics[metric];
    if (found === undefined) return [];
    const { attention, random } = found;
    const bypass = `attention ${modeVerb(mode)} in the last quarter of the blocks`;
    const judgement = { model: name, bypass, mode };
    return [
      {
        ...judgement,
        claim: "control",
        verdict: attention.controlLimited ? "undecided" : verdictOf(attention.selectivity),
        measured:
          `the drop in ${formOf(metric).name} is ${amount(attention.memorized, metric)} on memorized rows and ` +
          `${amount(attention.control, metric)} on control rows, the selectivity ${amount(attention.selectivity, metric)}`,
      },
      ...(random
        ? [
            {
              ...judgement,
              claim: "random" as const,
              verdict:
                random.sets < fewestSets ? "undecided" : random.rankProbability <= 0.05 ? "holds" : "does not hold",
              measured: `${random.atLeast} of ${random.sets} random sets are at least as selective`,
            } satisfies Judgement,
          ]
        : []),
    ];
  });
}

/** The paper: the larger the model, the less one late block matters. Compares the ends of each family. */
function scale(models: readonly AnalysedModel[], bootstrap: Bootstrap): Judgement[] {
  const familyOf = ({ sweep }: AnalysedModel) => sweep.settings.model.config.family;
  return [...new Set(models.map(familyOf))].flatMap((family) => {
    const sizes = models
      .filter((model) => familyOf(model) === family)
      .toSorted((one, other) => one.parameters - other.parameters);
    const [smallest, largest] = [sizes[0], sizes.at(-1)];
    if (smallest === undefined || largest === undefined || smallest.parameters === largest.parameters) return [];
    return smallest.settings.flatMap((setting): Judgement[] => {
      const [one, other] = [lateBlockOf(smallest, setting), lateBlockOf(largest, setting)];
      if (setting.part !== "attention" || !one?.memorization || !other?.memorization) return [];
      const count = one.tables.memorization.length;
      const difference = bootstrap.interval(
        [...one.tables.memorization, ...other.tables.memorization],
        (means) => meanRemaining(means.slice(count)) - meanRemaining(means.slice(0, count)),
      );
      return [
        {
          claim: "scale",
          model: `${smallest.name} and ${largest.name}`,
          bypass: `attention ${modeVerb(setting.mode)} in one late block`,
          mode: setting.mode,
          verdict: verdictOf(difference),
          measured:
            `${withInterval(one.memorization)} and ${withInterval(other.memorization)} of the memorization remain, a ` +
            `difference of ${points(difference)}`,
        },
      ];
    });
  });
}

/** Returns the verdicts on all claims, by claim. */
export function judge(models: readonly AnalysedModel[], bootstrap: Bootstrap): Judgement[] {
  const inEachMode = (judgeOne: (model: AnalysedModel, setting: Setting) => Judgement[]) =>
    models.flatMap((model) =>
      model.settings.filter(({ part }) => part === "attention").flatMap((setting) => judgeOne(model, setting)),
    );
  const all = [
    ...inEachMode(deep),
    ...inEachMode((model, setting) => early(model, setting, bootstrap)),
    ...models.flatMap((model) => mlps(model, bootstrap)),
    ...models.flatMap(control),
    ...scale(models, bootstrap),
  ];
  return Object.keys(claims).flatMap((name) => all.filter(({ claim }) => claim === name));
}
