import { Bootstrap, type Interval } from "../statistics/bootstrap.js";
import { mean } from "../statistics/statistics.js";
import type { Setting } from "./late-block.js";
import { type AnalysedModel, lateBlockOf, quarter } from "./paper-model.js";
import { meanRemaining, type RemainingShares, remainingShare } from "./remaining.js";
import { percent, withInterval } from "./tables.js";

/** Whether a finding of the paper is found here too, at 95 %. */
export type Verdict = "holds" | "does not hold" | "undecided" | "not measured";

/** A finding of the paper next to what was measured on one model. */
export interface Claim {
  model: string;
  finding: string;
  bypass: string;
  verdict: Verdict;
  /** The mode, for findings that are looked for in each mode. */
  mode?: Setting["mode"];
  /** The measurement and the verdict in words. */
  sentence: string;
}

const findings = {
  deep: "deep attention carries memorization",
  early: "early attention carries ability",
  mlps: "deep attention stands out from the MLPs of the same blocks",
  scale: "the larger the model, the less one late block matters",
};

/** Returns the verdict on a difference that the finding says is above 0. */
function verdictOf({ low, high }: Interval): Verdict {
  if (low > 0) return "holds";
  return high <= 0 ? "does not hold" : "undecided";
}

/** Returns the verdict on several differences that must all be above 0. */
function verdictOfAll(differences: readonly Interval[]): Verdict {
  const verdicts = differences.map(verdictOf);
  if (verdicts.every((verdict) => verdict === "holds")) return "holds";
  return verdicts.includes("does not hold") ? "does not hold" : "undecided";
}

/** Returns a difference of shares in points, such as "12.0 points [8.0, 16.0] more". */
function points({ value, low, high }: Interval, [more, less]: readonly [more: string, less: string]): string {
  const fixed = (share: number) => (Math.round(1000 * share) / 10 + 0).toFixed(1);
  const [from, to] = value < 0 ? [-high, -low] : [low, high];
  return `${fixed(Math.abs(value))} points [${fixed(from)}, ${fixed(to)}] ${value < 0 ? less : more}`;
}

const modeVerb = (mode: string) => (mode === "short-circuit" ? "short-circuited" : "zeroed");

const conclusion: Record<Verdict, string> = {
  holds: "holds",
  "does not hold": "does not hold",
  undecided: "is undecided",
  "not measured": "was not measured",
};

/** Why memorization and ability can't be compared in a model. */
function missing({ relative, sweep }: AnalysedModel): string {
  if (relative.bypasses[0]?.memorization === undefined) {
    return `the unmodified model matches none of ${sweep.base.memorization?.perRow.length ?? 0} samples`;
  }
  return "the unmodified model is not above chance at 95 % on any task";
}

function notMeasured(model: AnalysedModel, finding: string, bypass: string, mode?: Setting["mode"]): Claim {
  const reason = missing(model);
  const sentence = `${model.name}: whether ${finding} was not measured, because ${reason}.`;
  return { model: model.name, finding, bypass, verdict: "not measured", ...(mode && { mode }), sentence };
}

/** Returns whether both shares are there. */
const complete = (one: RemainingShares | undefined): one is Required<RemainingShares> =>
  one?.memorization !== undefined && one.ability !== undefined;

const remains = ({ memorization, ability }: RemainingShares) =>
  `${withInterval(memorization)} of the memorization and ${withInterval(ability)} of the ability`;

const half = 0.5;

/** The paper: short-circuiting the last quarter drops memorization strongly and keeps most of the ability. */
function deep(model: AnalysedModel, setting: Setting): Claim | undefined {
  const last = quarter(model, setting, 4);
  const bypass = `last quarter, ${setting.mode}`;
  if (last === undefined) return undefined;
  if (!complete(last)) return notMeasured(model, findings.deep, bypass, setting.mode);
  const { memorization, ability } = last;
  const removed = { value: half - memorization.value, low: half - memorization.high, high: half - memorization.low };
  const kept = { value: ability.value - half, low: ability.low - half, high: ability.high - half };
  const verdict = verdictOfAll([removed, kept]);
  const why = {
    holds: "More than half of the memorization is removed and more than half of the ability is kept",
    "does not hold": [
      ...(verdictOf(removed) === "does not hold" ? ["less than half of the memorization is removed"] : []),
      ...(verdictOf(kept) === "does not hold" ? ["less than half of the ability is kept"] : []),
    ]
      .join(" and ")
      .replace(/^l/, "L"),
    undecided: "The intervals do not decide whether half of the memorization is removed and half of the ability kept",
    "not measured": "",
  }[verdict];
  return {
    model: model.name,
    finding: findings.deep,
    bypass,
    mode: setting.mode,
    verdict,
    sentence:
      `${model.name}: with attention ${modeVerb(setting.mode)} in the last quarter of the blocks, ${remains(last)} remain. ` +
      `${why}, so the finding that ${findings.deep} ${conclusion[verdict]} here.`,
  };
}

/** Returns the tables of two bypasses side by side, so that each row and question is resampled for both. */
const paired = (one: RemainingShares, other: RemainingShares, what: "memorization" | "ability") =>
  one.tables[what].map((table, index) => [...table, ...(other.tables[what][index] ?? [])]);

/** Returns the remaining share of the second bypass minus that of the first, from paired means. */
const change = (means: readonly number[]) =>
  remainingShare(means.slice(means.length / 2)) - remainingShare(means.slice(0, means.length / 2));

/** The paper: attention in the early blocks carries ability. */
function early(model: AnalysedModel, setting: Setting): Claim | undefined {
  const [first, last] = [quarter(model, setting, 1), quarter(model, setting, 4)];
  const bypass = `first quarter, ${setting.mode}`;
  if (first === undefined || last === undefined) return undefined;
  if (first.ability === undefined || last.ability === undefined)
    return notMeasured(model, findings.early, bypass, setting.mode);
  const difference = new Bootstrap().interval(paired(first, last, "ability"), (means) => mean(means.map(change)));
  const verdict = verdictOf(difference);
  return {
    model: model.name,
    finding: findings.early,
    bypass,
    mode: setting.mode,
    verdict,
    sentence:
      `${model.name}: with attention ${modeVerb(setting.mode)} in the first quarter of the blocks, ` +
      `${withInterval(first.ability)} of the ability remains. The last quarter leaves ${points(difference, ["more", "less"])}, so the ` +
      `finding that ${findings.early} ${conclusion[verdict]} here.`,
  };
}

/** Compares attention with the MLPs of the same blocks, both zeroed. */
function mlps(model: AnalysedModel): Claim | undefined {
  const attention = quarter(model, { part: "attention", mode: "zero" }, 4);
  const other = quarter(model, { part: "mlp", mode: "zero" }, 4);
  const bypass = "last quarter, zero";
  if (attention === undefined || other === undefined) return undefined;
  if (!complete(attention) || !complete(other)) return notMeasured(model, findings.mlps, bypass);
  const abilities = paired(other, attention, "ability");
  const difference = new Bootstrap().interval(
    [...abilities, ...paired(other, attention, "memorization")],
    (means) => mean(means.slice(0, abilities.length).map(change)) - mean(means.slice(abilities.length).map(change)),
  );
  const verdict = verdictOf(difference);
  const outcome = {
    holds: findings.mlps,
    "does not hold": findings.mlps.replace("stands out", "does not stand out"),
    undecided: `it is undecided whether ${findings.mlps}`,
    "not measured": "",
  }[verdict];
  return {
    model: model.name,
    finding: findings.mlps,
    bypass,
    verdict,
    sentence:
      `${model.name}: with the attention of the last quarter zeroed, ${remains(attention)} remain; with its MLPs zeroed, ` +
      `${remains(other)}. The ability minus the memorization that remains is ${points(difference, ["higher", "lower"])} ` +
      `for attention, so ${outcome}.`,
  };
}

/** The paper: the larger the model, the less one late block matters. Compares models of one family. */
function scale(models: readonly AnalysedModel[]): Claim[] {
  const familyOf = ({ sweep }: AnalysedModel) => sweep.settings.model.config.family;
  return [...new Set(models.map(familyOf))].flatMap((family) => {
    const sizes = models
      .filter((model) => familyOf(model) === family)
      .toSorted((one, other) => one.parameters - other.parameters);
    const [smallest, largest] = [sizes[0], sizes.at(-1)];
    if (smallest === undefined || largest === undefined || smallest.parameters === largest.parameters) return [];
    return smallest.settings.flatMap((setting): Claim[] => {
      if (setting.part !== "attention") return [];
      const [one, other] = [lateBlockOf(smallest, setting), lateBlockOf(largest, setting)];
      if (!one?.memorization || !other?.memorization) return [];
      const count = one.tables.memorization.length;
      const difference = new Bootstrap().interval(
        [...one.tables.memorization, ...other.tables.memorization],
        (means) => meanRemaining(means.slice(count)) - meanRemaining(means.slice(0, count)),
      );
      const verdict = verdictOf(difference);
      return [
        {
          model: `${smallest.name}, ${largest.name}`,
          finding: findings.scale,
          bypass: `one late block, ${setting.mode}`,
          mode: setting.mode,
          verdict,
          sentence:
            `With attention ${modeVerb(setting.mode)} in one late block, ${percent(one.memorization.value)} of the ` +
            `memorization of ${smallest.name} and ${percent(other.memorization.value)} of that of ${largest.name}, the ` +
            `largest model of its family here, remains, which is ${points(difference, ["more", "less"])}. The finding ` +
            `that ${findings.scale}, ${conclusion[verdict]} here.`,
        },
      ];
    });
  });
}

/** Returns the paper's findings next to what was measured, whether or not they hold. */
export function claims(models: readonly AnalysedModel[]): Claim[] {
  const own = models.flatMap((model) => [
    ...model.settings
      .filter(({ part }) => part === "attention")
      .flatMap((setting) => [deep(model, setting), early(model, setting)]),
    mlps(model),
  ]);
  return [...own.filter((claim) => claim !== undefined), ...scale(models)];
}
