import { Bootstrap, type Interval } from "../statistics/bootstrap.js";
import { ability, blockAxis, byMode, colours, type Figure, memorization, percentAxis } from "./figure.js";
import { type Kept, meanKept, panelOf, type Relative, singleBlock } from "./kept.js";
import { type ReportTable, withInterval } from "./tables.js";

/** What a sweep is called, and its results next to its base. */
export interface NamedRelative {
  name: string;
  relative: Relative;
  blockCount: number;
}

type Pair = readonly [NamedRelative, NamedRelative];

const sameBypass = (one: Kept) => (other: Kept) =>
  one.variant.name === other.variant.name && panelOf(one.variant) === panelOf(other.variant);

function differenceOf(one: Kept, other: Kept, what: "memorization" | "ability"): Interval | undefined {
  const [ours, theirs] = [one.tables[what], other.tables[what]];
  if (ours.length === 0 || theirs.length === 0) return undefined;
  return new Bootstrap().interval(
    [...ours, ...theirs],
    (means) => meanKept(means.slice(ours.length)) - meanKept(means.slice(0, ours.length)),
  );
}

/** The bypasses that both sweeps have, next to each other. */
export function comparisonTable([first, second]: Pair): ReportTable {
  const both = first.relative.kept.flatMap((one) => {
    const other = second.relative.kept.find(sameBypass(one));
    return other ? [{ one, other }] : [];
  });
  const whats = (["memorization", "ability"] as const).filter((what) =>
    both.some(({ one, other }) => one[what] || other[what]),
  );
  return {
    title: `${first.name} and ${second.name}, bypass by bypass`,
    head: [
      "bypass",
      "mode",
      ...whats.flatMap((what) => [`${what} kept, ${first.name}`, `${what} kept, ${second.name}`, "difference"]),
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

/** Memorization and ability by block, a line for each sweep. */
export function comparisonFigures(pair: Pair): Figure[] {
  const alike = pair[0].blockCount === pair[1].blockCount;
  const values = pair.flatMap(({ name, relative, blockCount }) =>
    relative.kept.flatMap((one) => {
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
  const x = alike
    ? blockAxis
    : {
        field: "depth",
        type: "quantitative",
        title: "depth of the block whose attention is bypassed",
        axis: percentAxis,
      };
  const row = { field: "what", type: "nominal", sort: [memorization, ability], title: null };
  return [
    {
      name: "comparison",
      title: "Two sweeps, block by block",
      caption:
        `What is left of memorization and of ability in ${names.join(" and in ")} with the attention of one block bypassed, ` +
        "as shares of what each unmodified model has. Bands are 95 % confidence intervals by bootstrap.",
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
                y: { field: "value", type: "quantitative", title: "share kept", axis: percentAxis },
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
