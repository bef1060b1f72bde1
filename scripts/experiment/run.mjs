// The whole experiment on one model, told on the terminal as it goes, and its report.
import path from "node:path";
import { loadModel } from "attention-bypass";
import { SingleBar } from "cli-progress";
import Table from "cli-table3";
import { findings } from "./findings.mjs";
import { measureBase, sweep } from "./measure.mjs";
import { readMeasures } from "./measures.mjs";
import { tables, writeReport } from "./report.mjs";

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
    console.log(`One of the ${name}, read ${secret.repetitions} times, and what the model adds to its beginning`);
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

function showTables(results) {
  for (const { title, head, rows } of tables(results)) {
    const colAligns = head.map((_, column) => (column === 0 ? "left" : "right"));
    const table = new Table({ head, style: { head: [], border: [], compact: true }, colAligns });
    table.push(...rows);
    console.log(`${title}\n${table}\n`);
  }
}

export async function runExperiment({ model: folder, measures: measuresFolder, repetitions, report, signal }) {
  const began = performance.now();
  const measures = await readMeasures(measuresFolder);
  const model = await loadModel(folder, { signal });
  console.log(model, "\n");
  await showGeneration(model, measures, signal);
  await showSecret(model, measures, signal);

  const base = await measureBase(model, measures, signal);
  const results = { base, sweep: await sweepWithProgress(model, measures, { repetitions, signal }) };
  showTables(results);
  const perplexity = base.perplexity.toFixed(2);
  console.log(
    `Perplexity of held-out text: ${perplexity} (of a unigram model: ${base.unigramPerplexity.toFixed(1)})\n`,
  );
  for (const sentence of findings(results)) console.log(sentence);

  const { family, blockCount, hiddenSize } = model.config;
  const name = path.basename(path.resolve(folder));
  const seconds = Math.round((performance.now() - began) / 1000);
  const file = await writeReport(report, {
    name,
    description: `${family}, ${blockCount} blocks, ${hiddenSize} wide, ${model.dtype} on ${model.device}; perplexity of held-out text ${perplexity}`,
    settings: { model: name, config: model.config, dtype: model.dtype, device: model.device, repetitions, seconds },
    ...results,
  });
  console.log(`\n${seconds} s; the report: ${file}`);
  await model.dispose();
}
