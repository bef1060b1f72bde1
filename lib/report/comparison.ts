import { Bootstrap, type Interval } from "../statistics/bootstrap.js";
import { ability, blockAxis, byMode, colours, type Figure, memorization, percentAxis } from "./figure.js";
import { meanRemaining, panelOf, type RelativeResult, type RemainingShares, singleBlock } from "./remaining.js";
import { type ReportTable, withInterval } from "./tables.js";

/** The name of a sweep and its results relative to its base. */
export interface NamedResult {
  name: string;
  relative: RelativeResult;
  blockCount: number;
}

type Pair = readonly [NamedResult, NamedResult];

const sameBypass = (one: RemainingShares) => (other: RemainingShares) =>
  one.variant.name === other.variant.name && panelOf(one.variant) === panelOf(other.variant);

/** Returns the difference of the remaining shares in two sweeps. */
function differenceOf(
  one: RemainingShares,
  other: RemainingShares,
  what: "memorization" | "ability",
): Interval | undefined {
  const [ours, theirs] = [one.tables[what], other.tables[what]];
  if (ours.length === 0 || theirs.length === 0) return undefined;
  return new Bootstrap().interval(
    [...ours, ...theirs],
    (means) => meanRemaining(means.slice(ours.length)) - meanRemaining(means.slice(0, ours.length)),
  );
}

/**
 * Returns a table of the bypasses that both sweeps have, with the remaining shares of each sweep and their difference.
 */
export function comparisonTable([first, second]: Pair): ReportTable {
  const both = first.relative.bypasses.flatMap((one) => {
    const other = second.relative.bypasses.find(sameBypass(one));
    return other ? [{ one, other }] : [];
  });
  const whats = (["memorization", "ability"] as const).filter((what) =>
    both.some(({ one, other }) => one[what] || other[what]),
  );
  return {
    title: `Comparison of ${first.name} and ${second.name}`,
    head: [
      "bypass",
      "mode",
      ...whats.flatMap((what) => [
        `${what} remaining, ${first.name}`,
        `${what} remaining, ${second.name}`,
        "difference",
      ]),
    ],
    rows: both.map(({ one, other }) => [
      one.variant.name,
      one.variant.mode,
      ...whats.flatMap((what) => [
        withInterval(one[what]),
        withInterval(other[what]),
        withInterval(differenceOf(one, other, what)),
      ]),
    ]),
  };
}

/** Returns a figure of memorization and ability by block, with a line for each sweep. */
export function comparisonFigures(pair: Pair): Figure[] {
  const sameDepth = pair[0].blockCount === pair[1].blockCount;
  const values = pair.flatMap(({ name, relative, blockCount }) =>
    relative.bypasses.flatMap((one) => {
      const block = singleBlock(one.variant);
      if (block === undefined) return [];
      const place = { run: name, mode: panelOf(one.variant), block, depth: (block + 0.5) / blockCount };
      return [
        ...(one.memorization ? [{ ...place, what: memorization, ...one.memorization }] : []),
        ...(one.ability ? [{ ...place, what: ability, ...one.ability }] : []),
      ];
    }),
  );
  if (values.length === 0) return [];
  const { width, column } = byMode(values);
  const names = pair.map(({ name }) => name);
  const run = { field: "run", type: "nominal", sort: names, title: null };
  const color = { ...run, scale: { domain: names, range: [colours.ability, colours.tasks[1]] } };
  const x = sameDepth
    ? blockAxis
    : {
        field: "depth",
        type: "quantitative",
        title: "relative depth of the bypassed block",
        axis: percentAxis,
      };
  const row = { field: "what", type: "nominal", sort: [memorization, ability], title: null };
  return [
    {
      name: "comparison",
      title: "Comparison of two sweeps by block",
      caption:
        `The memorization and ability that remain in ${names.join(" and in ")} with one block bypassed, as shares of each ` +
        "unmodified model's. Bands are 95 % confidence intervals by bootstrap.",
      spec: {
        data: { values },
        facet: { column, row },
        spec: {
          width,
          height: 160,
          encoding: { x },
          layer: [
            {
              mark: { type: "area", opacity: 0.16 },
              encoding: { y: { field: "low", type: "quantitative" }, y2: { field: "high" }, color },
            },
            {
              mark: { type: "line", point: { filled: true, size: 45 }, strokeWidth: 2 },
              encoding: {
                y: { field: "value", type: "quantitative", title: "share remaining", axis: percentAxis },
                color,
                shape: { ...run, scale: { domain: names } },
              },
            },
          ],
        },
      },
    },
  ];
}
