// Runs the whole experiment, also from a fresh clone: npm run demo [-- --model FOLDER --measures FOLDER --report FOLDER]
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

  --model NAME      gpt-neox or gpt-neo, or the path of your own checkpoint            (gpt-neox)
  --measures FOLDER secrets (*.jsonl), held-out.txt and tasks/*.jsonl; see docs/embedded-models.md
  --repetitions N   use the secrets that were repeated N times or more for bypasses    (32)
  --report FOLDER   folder for the report and its figures                              (demo-report)`;

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

// The experiment can be imported only after setup.
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
