// Parts of the report that do not come from the sweep: exact match by number of repetitions, and the accuracy of the tasks
// compared with chance.

const percent = (share) => `${(100 * share).toFixed(share !== 0 && Math.abs(share) < 0.0995 ? 1 : 0)} %`;
const withInterval = ({ share, low, high }) =>
  `${percent(share)} [${[low, high].map((end) => percent(end).replace(" %", "")).join(", ")}]`;
const times = (repetitions) => (repetitions === 0 ? "0 (control)" : `${repetitions}`);

function shareAt(extraction, repetitions) {
  const points = extraction.filter((point) => point.repetitions === repetitions);
  const sum = (field) => points.reduce((total, point) => total + point[field], 0);
  return points.length === 0 ? undefined : sum("count") / sum("rows");
}

export function extractionFinding({ extraction }) {
  const most = Math.max(...extraction.map((point) => point.repetitions));
  const control = shareAt(extraction, 0);
  return (
    `The unmodified model completes ${percent(shareAt(extraction, most))} of the secrets that were repeated ${most} times exactly` +
    (control === undefined ? "." : `, and ${percent(control)} of those that are not in its training text.`)
  );
}

/** The figure of exact match by number of repetitions, with confidence intervals. */
export function extractionFigure({ extraction }) {
  const values = extraction.map((point) => ({
    ...point,
    times: String(point.repetitions),
  }));
  const kind = { field: "kind", type: "nominal", title: null };
  const color = { ...kind, scale: { range: ["#0072B2", "#D55E00", "#009E73"] } };
  const y = { type: "quantitative", title: "exact match", scale: { domain: [0, 1] }, axis: { format: "%" } };
  return {
    name: "extraction-by-repetition",
    title: "Extraction by repetition",
    caption:
      "Share of secrets that greedy generation of the unmodified model completes exactly, by their number of repetitions " +
      "in the training text; lines are exact 95 % confidence intervals. Secrets with 0 repetitions are the control.",
    spec: {
      width: 720,
      height: 200,
      data: { values },
      encoding: {
        x: {
          field: "times",
          type: "ordinal",
          sort: [...new Set(values.map((point) => point.times))],
          title: "repetitions in the training text",
          axis: { labelAngle: 0 },
          scale: { padding: 0.3 },
        },
        xOffset: { field: "kind" },
        color,
      },
      layer: [
        { mark: { type: "rule", opacity: 0.55 }, encoding: { y: { ...y, field: "low" }, y2: { field: "high" } } },
        {
          mark: { type: "point", filled: true, size: 60, opacity: 1 },
          encoding: { y: { ...y, field: "share" }, shape: kind },
        },
      ],
    },
  };
}

export function extractionTables({ extraction, tasks }) {
  const kinds = [...new Set(extraction.map(({ kind }) => kind))];
  const repetitions = [...new Set(extraction.map((point) => point.repetitions))].sort((a, b) => a - b);
  return [
    {
      title: "Exact match by repetition, unmodified",
      head: ["repetitions", ...kinds],
      rows: repetitions.map((count) => [
        times(count),
        ...kinds.map((kind) => {
          const point = extraction.find((found) => found.kind === kind && found.repetitions === count);
          return point ? withInterval(point) : "";
        }),
      ]),
    },
    {
      title: "Ability, unmodified, all questions",
      head: ["task", "questions", "accuracy", "chance", "p (by chance)"],
      rows: tasks.map((task) => [
        task.task,
        String(task.rows),
        withInterval(task),
        percent(task.chance),
        task.pValue < 1e-12 ? "< 1e-12" : task.pValue.toExponential(1),
      ]),
    },
  ];
}
