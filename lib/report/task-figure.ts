import type { SweepResult } from "../sweep/result.js";
import { blockAxis, byMode, colours, type Figure } from "./figure.js";
import { panelOf, type RelativeResult, singleBlock } from "./remaining.js";
import { interval, intervals, shareAxis } from "./share-axis.js";

/** The ability on each task with one block bypassed. Tasks of one group share a row of panels. */
export function byTask({ bypasses }: RelativeResult, { settings }: SweepResult): Figure[] {
  const groups = Object.fromEntries((settings.tasks ?? []).map(({ name, group }) => [name, group ?? "tasks"]));
  const values = bypasses.flatMap(({ variant, tasks }) => {
    const block = singleBlock(variant);
    if (block === undefined) return [];
    return tasks.map(({ name, remaining }) => ({
      block,
      mode: panelOf(variant),
      task: name,
      group: groups[name],
      ...remaining,
    }));
  });
  if (values.length === 0) return [];
  const { width, column } = byMode(values);
  const names = [...new Set(values.map(({ task }) => task))];
  const task = { field: "task", type: "nominal", sort: names, title: null };
  const color = { ...task, scale: { domain: names, range: colours.tasks } };
  const row = { field: "group", type: "nominal", title: null, header: { labelOrient: "left", labelFontSize: 12 } };
  return [
    {
      name: "by-task",
      title: "Ability by task",
      caption:
        "The accuracy above chance that remains on each task with one block bypassed, as a share of the unmodified model's. " +
        `Tasks on which the unmodified model is not above chance are left out. Bands are ${intervals}.`,
      spec: {
        data: { values },
        facet: { column, ...(new Set(values.map(({ group }) => group)).size > 1 && { row }) },
        spec: {
          width,
          height: 150,
          encoding: { x: blockAxis },
          layer: [
            { mark: { type: "area", opacity: 0.12 }, encoding: { ...interval, color } },
            {
              mark: { type: "line", point: { filled: true, size: 45 }, strokeWidth: 1.8 },
              encoding: { y: shareAxis, color, shape: { ...task, scale: { domain: names } } },
            },
          ],
        },
      },
    },
  ];
}
