import type { MemorizationMetric } from "../metrics/memorization-scores.js";
import type { Selectivity } from "../selectivity/result.js";
import { Bootstrap, type Interval } from "../statistics/bootstrap.js";
import type { Variant } from "../sweep/variants.js";
import { ability, blockAxis, byMode, colours, type Figure, memorization, percentAxis } from "./figure.js";
import { meanRemaining, panelOf, type RelativeResult, type RemainingShares, singleBlock } from "./remaining.js";
import type { ReportTable } from "./report-table.js";
import { dropAxis, dropTitle, rowNames, rowsCaption, rowsPoints } from "./rows-panel.js";
import { withInterval } from "./tables.js";

/** The name of a sweep and its results relative to its base. */
export interface NamedResult {
  name: string;
  relative: RelativeResult;
  selectivity: Selectivity | undefined;
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

/** Returns a panel with a line for each sweep, for each mode and for each value of the field `row`. */
function linesOf(
  values: readonly (Interval & { run: string })[],
  names: readonly string[],
  facet: { column: object; row: object },
  { x, y, ...size }: { x: object; y: object; width: number; height: number },
): object {
  const run = { field: "run", type: "nominal", sort: names, title: null };
  const color = { ...run, scale: { domain: names, range: [colours.ability, colours.tasks[1]] } };
  const up = (field: string) => ({ ...y, field, type: "quantitative" });
  return {
    data: { values },
    facet,
    spec: {
      ...size,
      encoding: { x },
      layer: [
        { mark: { type: "area", opacity: 0.16 }, encoding: { y: up("low"), y2: { field: "high" }, color } },
        {
          mark: { type: "line", point: { filled: true, size: 45 }, strokeWidth: 2 },
          encoding: { y: up("value"), color, shape: { ...run, scale: { domain: names } } },
        },
      ],
    },
  };
}

/** Returns the metric in which both sweeps compare memorized rows with control rows, if there is one. */
function commonMetric([first, second]: Pair): MemorizationMetric | undefined {
  const metric = first.selectivity?.compared[0];
  return metric !== undefined && metric === second.selectivity?.compared[0] ? metric : undefined;
}

/** Returns a figure of memorization and ability by block, with a line for each sweep. */
export function comparisonFigures(pair: Pair): Figure[] {
  const sameDepth = pair[0].blockCount === pair[1].blockCount;
  const placeOf = ({ name, blockCount }: NamedResult, variant: Variant) => {
    const block = singleBlock(variant);
    return block === undefined ? undefined : { run: name, block, depth: (block + 0.5) / blockCount };
  };
  const values = pair.flatMap((named) =>
    named.relative.bypasses.flatMap((one) => {
      const at = placeOf(named, one.variant);
      if (at === undefined) return [];
      const place = { ...at, mode: panelOf(one.variant) };
      return [
        ...(one.memorization ? [{ ...place, what: memorization, ...one.memorization }] : []),
        ...(one.ability ? [{ ...place, what: ability, ...one.ability }] : []),
      ];
    }),
  );
  if (values.length === 0) return [];
  const metric = commonMetric(pair);
  const drops =
    metric === undefined
      ? []
      : pair.flatMap((named) =>
          named.selectivity ? rowsPoints(named.selectivity, (variant) => placeOf(named, variant)) : [],
        );
  const { width, column } = byMode([...values, ...drops]);
  const names = pair.map(({ name }) => name);
  const depth = {
    field: "depth",
    type: "quantitative",
    title: "relative depth of the bypassed block",
    axis: percentAxis,
  };
  const x = sameDepth ? blockAxis : depth;
  const row = (field: string, sort: readonly string[]) => ({ field, type: "nominal", sort, title: null });
  const shares = linesOf(
    values,
    names,
    { column, row: row("what", [memorization, ability]) },
    { x, y: { title: "share remaining", axis: percentAxis }, width, height: 160 },
  );
  const lower = (metric: MemorizationMetric) =>
    linesOf(
      drops,
      names,
      { column: { ...column, header: { labels: false, title: null } }, row: row("rows", rowNames) },
      { x, y: { title: dropTitle(metric), ...dropAxis(drops, metric) }, width, height: 110 },
    );
  return [
    {
      name: "comparison",
      title: "Comparison of two sweeps by block",
      caption:
        `The memorization and ability that remain in ${names.join(" and in ")} with one block bypassed, as shares of each ` +
        "unmodified model's. Bands are 95 % confidence intervals by bootstrap." +
        (metric === undefined ? "" : rowsCaption(metric, "The lower panel")),
      spec: metric === undefined ? shares : { vconcat: [shares, lower(metric)] },
    },
  ];
}
