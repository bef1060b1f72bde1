// The main job, from a fresh clone: npm run demo [-- --model FOLDER --measures FOLDER --report FOLDER]
import { spawnSync } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";

const root = path.join(import.meta.dirname, "..", "..");
const { values } = parseArgs({
  options: {
    model: { type: "string", default: path.join(root, "models", "gpt-neox") },
    measures: { type: "string", default: path.join(root, "models", "measures") },
    report: { type: "string", default: path.join(root, "demo-report") },
  },
});

const { status } = spawnSync(process.execPath, [path.join(root, "scripts", "setup.mjs")], { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

// Nothing of these is there before the set-up.
const { loadModel } = await import("attention-bypass");
const { default: Table } = await import("cli-table3");
const { SingleBar } = await import("cli-progress");
const { measureBase, sweep } = await import("./measure.mjs");
const { readMeasures } = await import("./measures.mjs");
const { findings, tables, writeReport } = await import("./report.mjs");

const interruption = new AbortController();
process.once("SIGINT", () => interruption.abort(new Error("interrupted")));
const { signal } = interruption;

const began = performance.now();
const measures = await readMeasures(values.measures);
const model = await loadModel(values.model, { signal });
console.log(model, "\n");

const prompt = measures.text.split(/(?<=\.) /, 2).join(" ");
process.stdout.write(`A generation\n  ${prompt}`);
for await (const { text } of model.stream(prompt, { maxNewTokens: 40, signal })) process.stdout.write(text ?? "");

const secret = measures.kinds.map(({ rows }) => rows.toSorted((a, b) => b.repetitions - a.repetitions)[0])[0];
const { text: said } = await model.generate(secret.prefix, { maxNewTokens: 40, stop: "\n", signal });
console.log(`\n\nA secret, read ${secret.repetitions} times\n  ${secret.prefix}${said}\n`);

const base = await measureBase(model, measures, signal);
const bar = new SingleBar({ format: "Bypassing {bar} {percentage}%", clearOnComplete: true, stream: process.stderr });
if (process.stderr.isTTY) bar.start(1, 0);
const swept = await sweep(model, measures, { signal, onProgress: (share) => bar.update(share) });
bar.stop();

for (const { title, head, rows } of tables({ base, sweep: swept })) {
  const table = new Table({
    head,
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, index) => (index ? "right" : "left")),
  });
  table.push(...rows);
  console.log(`${title}\n${table}\n`);
}
console.log(
  `Perplexity of held-out text: ${base.perplexity.toFixed(2)} (of a unigram model: ${base.unigramPerplexity.toFixed(1)})\n`,
);
for (const sentence of findings({ base, sweep: swept })) console.log(sentence);

const seconds = (performance.now() - began) / 1000;
const { family, blockCount, hiddenSize } = model.config;
const report = await writeReport(values.report, {
  name: path.basename(path.resolve(values.model)),
  description: `${family}, ${blockCount} blocks, ${hiddenSize} wide, ${model.dtype} on ${model.device}; perplexity of held-out text ${base.perplexity.toFixed(2)}`,
  settings: {
    model: path.basename(path.resolve(values.model)),
    config: model.config,
    dtype: model.dtype,
    device: model.device,
    seconds: Math.round(seconds),
  },
  base,
  sweep: swept,
});
console.log(`\n${Math.round(seconds)} s; the report: ${report}`);
await model.dispose();
