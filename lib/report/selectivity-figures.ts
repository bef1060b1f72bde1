import type { BypassPart } from "../bypass/bypass.js";
import type { MemorizationMetric } from "../metrics/memorization-scores.js";
import { formOf } from "../selectivity/metrics.js";
import type { Selectivity, VariantSelectivity } from "../selectivity/result.js";
import type { Interval } from "../statistics/bootstrap.js";
import { blockAxis, byMode, colours, type Figure } from "./figure.js";
import { randomCaption, randomName, setDomain, setPlace } from "./random-sets.js";
import { dropAxis, inUnit, zeroLine } from "./rows-panel.js";

const partNames: Readonly<Record<BypassPart, string>> = {
  attention: "attention",
  mlp: "MLP",
  both: "attention and MLP",
};
const partOrder = Object.values(partNames);
const partColours = [colours.memorization, colours.ability, colours.neutral];

interface Point extends Interval {
  part: string;
  mode: string;
}

function points<Place extends object>(
  { variants }: Selectivity,
  metric: MemorizationMetric,
  place: (variant: VariantSelectivity) => Place | undefined,
): (Point & Place)[] {
  return variants.flatMap((variant) => {
    const at = place(variant);
    const found = variant.metrics[metric];
    if (at === undefined || found === undefined) return [];
    return [{ ...at, part: partNames[variant.part], mode: variant.mode, ...inUnit(found.selectivity, metric) }];
  });
}

/** Returns the encodings that give the parts their colours and shapes. */
function partKinds(values: readonly Point[]) {
  const present = partOrder.filter((part) => values.some((value) => value.part === part));
  const part = { field: "part", type: "nominal", sort: partOrder, title: null };
  return {
    color: { ...part, scale: { domain: present, range: present.map((name) => partColours[partOrder.indexOf(name)]) } },
    shape: { ...part, scale: { domain: present } },
  };
}

/** Returns the title of a panel, which names the metric. */
const titled = (metric: MemorizationMetric) => ({
  title: { text: formOf(metric).name, anchor: "start", fontSize: 12, fontWeight: "normal" },
});

const axisTitle = (metric: MemorizationMetric) => `selectivity, ${formOf(metric).unit}`;

const definition =
  "Selectivity is the drop of a metric on the memorized rows minus its drop on the control rows: above 0, the bypass " +
  "matters more to memorized text than to other text of its form. Axes are linear near 0 and logarithmic beyond 1 point " +
  "or 0.1 nats.";
const byBootstrap = "95 % confidence intervals by bootstrap over memorized rows and over control rows";

/** Selectivity with one block bypassed, one panel for each metric. */
function byBlock(selectivity: Selectivity): Figure[] {
  const panels = selectivity.compared.flatMap((metric, index, { length }) => {
    const values = points(selectivity, metric, ({ kind, blocks: [block] }) =>
      kind === "block" && block !== undefined ? { block } : undefined,
    );
    if (values.length === 0) return [];
    const { width, column } = byMode(values);
    const { color, shape } = partKinds(values);
    const y = { type: "quantitative", ...dropAxis(values, metric) };
    return [
      {
        ...titled(metric),
        data: { values },
        facet: { column: index === 0 ? column : { ...column, header: { labels: false, title: null } } },
        spec: {
          width,
          height: 150,
          encoding: { x: { ...blockAxis, title: index === length - 1 ? blockAxis.title : null } },
          layer: [
            {
              mark: { type: "area", opacity: 0.14 },
              encoding: { y: { ...y, field: "low" }, y2: { field: "high" }, color },
            },
            {
              mark: { type: "line", point: { filled: true, size: 45 }, strokeWidth: 1.8 },
              encoding: { y: { ...y, field: "value", title: axisTitle(metric) }, color, shape },
            },
            zeroLine,
          ],
        },
      },
    ];
  });
  if (panels.length === 0) return [];
  return [
    {
      name: "selectivity",
      title: "Selectivity by block and part",
      caption: `The selectivity of bypassing one part of one block. ${definition} Bands are ${byBootstrap}.`,
      spec: { vconcat: panels },
    },
  ];
}

/** Selectivity with a quarter of the blocks bypassed, next to random sets of its size. */
function byQuartile(selectivity: Selectivity): Figure[] {
  const place = setPlace(selectivity.variants);
  const panels = selectivity.compared.flatMap((metric, index, { length }) => {
    const values = points(selectivity, metric, place);
    if (!values.some(({ set }) => set !== randomName)) return [];
    const { width, column } = byMode(values);
    const { color, shape } = partKinds(values);
    const y = { type: "quantitative", ...dropAxis(values, metric) };
    const x = {
      field: "set",
      type: "ordinal",
      title: index === length - 1 ? "quarter" : null,
      axis: { labelAngle: 0 },
      scale: { paddingInner: 0.3, domain: setDomain(values) },
    };
    const value = { y: { ...y, field: "value", title: axisTitle(metric) }, color, shape };
    const random = `datum.set === '${randomName}'`;
    return [
      {
        ...titled(metric),
        data: { values },
        facet: { column: index === 0 ? column : { ...column, header: { labels: false, title: null } } },
        spec: {
          width,
          height: 160,
          encoding: {
            x,
            xOffset: {
              field: "part",
              scale: { domain: partOrder.filter((part) => values.some((value) => value.part === part)) },
            },
          },
          layer: [
            zeroLine,
            {
              transform: [{ filter: `!(${random})` }],
              mark: { type: "rule", strokeWidth: 1.5 },
              encoding: { y: { ...y, field: "low" }, y2: { field: "high" }, color },
            },
            {
              transform: [{ filter: `!(${random})` }],
              mark: { type: "point", filled: true, size: 70, opacity: 1 },
              encoding: value,
            },
            {
              transform: [{ filter: random }],
              mark: { type: "point", filled: true, size: 22, opacity: 0.45 },
              encoding: value,
            },
          ],
        },
      },
    ];
  });
  if (panels.length === 0) return [];
  const sets = selectivity.variants.some((variant) => place(variant)?.set === randomName);
  return [
    {
      name: "selectivity-by-quartile",
      title: "Selectivity by quarter of the blocks and part",
      caption:
        `The selectivity of bypassing one part of a quarter of the blocks. ${definition} Lines are ${byBootstrap}.` +
        (sets ? randomCaption : ""),
      spec: { vconcat: panels },
    },
  ];
}

/** Returns the figures of a sweep with control rows. */
export function selectivityFigures(selectivity: Selectivity): Figure[] {
  return [...byBlock(selectivity), ...byQuartile(selectivity)];
}
