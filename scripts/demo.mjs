// The main job, from a fresh clone: npm run demo [-- --model FOLDER --measures FOLDER --report FOLDER]
import { spawnSync } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";

const root = path.join(import.meta.dirname, "..");
const options = {
  model: { type: "string", default: "gpt-neox" },
  measures: { type: "string", default: path.join(root, "models", "measures") },
  repetitions: { type: "string", default: "32" },
  report: { type: "string", default: path.join(root, "demo-report") },
  help: { type: "boolean", default: false },
};
const help = `npm run demo -- [options]

  --model NAME      gpt-neox or gpt-neo, or the path of a checkpoint of one's own      (gpt-neox)
  --measures FOLDER secrets (*.jsonl), held-out.txt and tasks/*.jsonl; see docs/embedded-models.md
  --repetitions N   bypasses are measured on the secrets that were read N times or more (32)
  --report FOLDER   where the report and its figures go                               (demo-report)`;

function fail(message) {
  console.error(message);
  process.exit(1);
}

let values;
try {
  ({ values } = parseArgs({ options }));
} catch (error) {
  fail(`${error.message}\n\n${help}`);
}
if (values.help) {
  console.log(help);
  process.exit(0);
}
if (!/^[1-9][0-9]*$/.test(values.repetitions))
  fail(`--repetitions must be a whole number from 1, not "${values.repetitions}".`);

const { status } = spawnSync(process.execPath, [path.join(root, "scripts", "setup.mjs")], { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

// Nothing of this can be imported before the set-up.
const { runExperiment } = await import("./experiment/run.mjs");
const interruption = new AbortController();
process.once("SIGINT", () => interruption.abort(new Error("interrupted")));
const embedded = ["gpt-neox", "gpt-neo"].includes(values.model);
try {
  await runExperiment({
    model: embedded ? path.join(root, "models", values.model) : values.model,
    measures: values.measures,
    repetitions: Number(values.repetitions),
    report: values.report,
    signal: interruption.signal,
  });
} catch (error) {
  fail(error.message);
}
