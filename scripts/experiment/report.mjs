// What was found, in sentences, tables and one HTML file that needs nothing beside it.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { Eta } from "eta";
import { byBlock, extractionByRepetition, tradeOff } from "./charts.mjs";
import { findings, percent } from "./findings.mjs";

const withInterval = ({ share, low, high }) => `${percent(share)} [${percent(low)}, ${percent(high)}]`;
const kept = (share) => (share === undefined ? "none to lose" : percent(share));
const times = (repetitions) => (repetitions === 0 ? "never (control)" : `${repetitions}`);

export function tables({ base, sweep }) {
  const tasks = base.tasks.map(({ task }) => task);
  const kinds = [...new Set(base.extraction.map(({ kind }) => kind))];
  const repetitions = [...new Set(base.extraction.map((point) => point.repetitions))].sort((a, b) => a - b);
  return [
    {
      title: "Exact match by repetition, unmodified",
      head: ["times read", ...kinds],
      rows: repetitions.map((count) => [
        times(count),
        ...kinds.map((kind) => {
          const point = base.extraction.find((found) => found.kind === kind && found.repetitions === count);
          return point ? withInterval(point) : "";
        }),
      ]),
    },
    {
      title: "Ability, unmodified",
      head: ["task", "questions", "accuracy", "chance", "p (chance alone)"],
      rows: base.tasks.map((task) => [
        task.task,
        String(task.rows),
        withInterval(task),
        percent(task.chance),
        task.pValue < 1e-12 ? "< 1e-12" : task.pValue.toExponential(1),
      ]),
    },
    {
      title: "With attention bypassed",
      head: ["bypass", "mode", "exact match", "perplexity", ...tasks, "memorization kept", "ability kept"],
      rows: sweep.map((result) => [
        result.name,
        result.mode ?? "",
        percent(result.exactMatch.share),
        result.perplexity.toPrecision(4),
        ...tasks.map((task) => percent(result.tasks[task].share)),
        kept(result.memorizationKept),
        kept(result.abilityKept),
      ]),
    },
  ];
}

/** Writes report.html, the figures as SVG, and results.json. Returns the path of the report. */
export async function writeReport(folder, { name, description, settings, base, sweep }) {
  await mkdir(folder, { recursive: true });
  const [swept] = sweep;
  const figures = [
    {
      file: "memorization-and-ability-by-block.svg",
      title: "Memorization against ability, block by block",
      svg: await byBlock(sweep),
      caption:
        `What is left with the attention of one block bypassed, as a share of the unmodified model: exact match over ` +
        `${swept.exactMatch.rows} secrets read often, and the tasks' accuracy above chance (mean over tasks). ` +
        `Below, perplexity of held-out text; the dashed line is the unmodified model.`,
    },
    {
      file: "trade-off.svg",
      title: "What a bypass costs",
      svg: await tradeOff(sweep),
      caption:
        "Each point is a bypass of one block (its number) or of a quarter of the blocks (Q1 to Q4). Low and to the right: memorization goes, ability stays.",
    },
    {
      file: "extraction-by-repetition.svg",
      title: "Extraction by repetition",
      svg: await extractionByRepetition(base.extraction),
      caption:
        "Share of secrets that greedy decoding completes word for word, by how often they stood in the training text; bars are exact 95 % confidence intervals. Those never read are the control.",
    },
  ];
  for (const { file, svg } of figures) await writeFile(path.join(folder, file), svg);
  await writeFile(path.join(folder, "results.json"), `${JSON.stringify({ settings, base, sweep }, null, 2)}\n`);
  const html = new Eta({ views: import.meta.dirname }).render("report", {
    name,
    description,
    findings: findings({ base, sweep }),
    figures,
    tables: tables({ base, sweep }),
    settings: JSON.stringify(settings, null, 2),
  });
  const file = path.join(folder, "report.html");
  await writeFile(file, html);
  return file;
}
