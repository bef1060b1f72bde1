// Runs the whole experiment on one model, prints results as it proceeds, and writes the report.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { createReport, drawFigure, loadModel, writeReport } from "attention-bypass";
import { SingleBar } from "cli-progress";
import Table from "cli-table3";
import { extractionFigure, extractionFinding, extractionTables } from "./extraction.mjs";
import { measureBase, sweep } from "./measure.mjs";
import { readMeasures } from "./measures.mjs";

async function showGeneration(model, { text }, signal) {
  const prompt = text.split(/(?<=\.) /, 2).join(" ");
  process.stdout.write(`A generation\n  ${prompt}`);
  for await (const piece of model.stream(prompt, { maxNewTokens: 40, signal })) process.stdout.write(piece.text ?? "");
  process.stdout.write("\n\n");
}

async function showSecret(model, { kinds }, signal) {
  for (const { name, rows } of kinds) {
    const secret = rows.toSorted((a, b) => b.repetitions - a.repetitions)[0];
    const maxNewTokens = model.tokenizer.encode(secret.suffix).length;
    const { text } = await model.generate(secret.prefix, { maxNewTokens, signal });
    console.log(`One of the ${name}, repeated ${secret.repetitions} times: its prefix | the model's continuation`);
    console.log(`  ${secret.prefix} |${text}\n`);
  }
}

async function sweepWithProgress(model, measures, { repetitions, signal }) {
  const bar = new SingleBar({
    format: "Bypassing {bar} {percentage}% | {eta} s left",
    clearOnComplete: true,
    stream: process.stderr,
  });
  if (process.stderr.isTTY) bar.start(1, 0);
  try {
    return await sweep(model, measures, { repetitions, signal, onProgress: (share) => bar.update(share) });
  } finally {
    bar.stop();
  }
}

/** Creates the report of the sweep, with the parts that do not come from the sweep. */
function describe(name, base, result) {
  const report = createReport(result, { name });
  report.findings.unshift(extractionFinding(base));
  report.figures.push(extractionFigure(base));
  report.tables.unshift(...extractionTables(base));
  return report;
}

/** Prints the first tables without heads and random sets. The report has all of them. */
function showTables({ tables }) {
  for (const { title, head, rows } of tables.slice(0, 3)) {
    const colAligns = head.map((_, column) => (column === 0 ? "left" : "right"));
    const table = new Table({ head, style: { head: [], border: [], compact: true }, colAligns });
    table.push(...rows.filter(([name]) => !/ head |^random /.test(name)));
    console.log(`${title}\n${table}\n`);
  }
}

/** Writes report.html, each figure as SVG, and the results as JSON. Returns the path of the report. */
async function save(folder, report, results) {
  await mkdir(folder, { recursive: true });
  for (const figure of report.figures) {
    await writeFile(path.join(folder, `${figure.name}.svg`), await drawFigure(figure, "svg"));
  }
  await writeFile(path.join(folder, "base.json"), `${JSON.stringify(results.base, null, 2)}\n`);
  await writeFile(path.join(folder, "sweep.json"), `${JSON.stringify(results.sweep, null, 2)}\n`);
  const file = path.join(folder, "report.html");
  await writeReport(report, file);
  return file;
}

export async function runExperiment({ model: folder, measures: measuresFolder, repetitions, report, signal }) {
  const began = performance.now();
  const measures = await readMeasures(measuresFolder);
  const model = await loadModel(folder, { signal });
  console.log(model, "\n");
  await showGeneration(model, measures, signal);
  await showSecret(model, measures, signal);

  const base = await measureBase(model, measures, signal);
  const result = await sweepWithProgress(model, measures, { repetitions, signal });
  const drawn = describe(path.basename(path.resolve(folder)), base, result);
  showTables(drawn);
  const perplexity = base.perplexity.toFixed(2);
  console.log(`Perplexity of held-out text: ${perplexity} (unigram model: ${base.unigramPerplexity.toFixed(1)})\n`);
  for (const sentence of drawn.findings) console.log(sentence);

  const file = await save(report, drawn, { base, sweep: result });
  console.log(`\n${Math.round((performance.now() - began) / 1000)} s; report: ${file}`);
  await model.dispose();
}
