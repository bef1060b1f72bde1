// Checks the package on a GPU, and prints a table that can be committed: npm run check-cuda -- --output docs/cuda-check.md
import { readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { addonFor, libtorchFor } from "./check/libtorch.mjs";
import { deviceName, processor } from "./check/machine.mjs";
import { pythonFor } from "./check/python.mjs";
import { Record } from "./check/record.mjs";
import { markdown } from "./check/table.mjs";

const options = {
  device: { type: "string", default: "cuda:0" },
  quick: { type: "boolean", default: false },
  output: { type: "string" },
  help: { type: "boolean", default: false },
};
const help = `npm run check-cuda -- [options]

  --device DEVICE  cuda:N, or cpu to test the checks themselves                 (cuda:0)
  --quick          run each check on one model of each kind, with fewer rows, and smaller models for the speeds
  --output FILE    also write the table to this file

The exit code is 1 if a check fails, and 2 if nothing can be checked.`;

const log = (text) => console.error(`check-cuda: ${text}`);

function fail(message) {
  log(message.split("\n", 1)[0]);
  process.exit(2);
}

let values;
try {
  ({ values } = parseArgs({ options }));
} catch (error) {
  fail(`${error.message}; see --help`);
}
if (values.help) {
  console.log(help);
  process.exit(0);
}
if (!/^(cpu|cuda:\d{1,3})$/.test(values.device)) fail(`--device must be cpu or cuda:N, not "${values.device}"`);

const { device, quick } = values;

/** Finds libtorch and the addon, and loads a model, so that a missing part is reported once and not by every check. */
async function prepare() {
  const libtorch = await libtorchFor(device);
  log(`libtorch ${libtorch.version} in ${libtorch.folder}`);
  addonFor(libtorch, log);
  process.env.ATTENTION_BYPASS_LIBTORCH = libtorch.folder;
  // The package can be imported only after the addon has been compiled.
  const library = await import("attention-bypass");
  const model = await library.loadModel(library.embeddedModel(), { device, dtype: "float32" });
  await model.dispose();
  return { libtorch, library };
}

const { libtorch, library } = await prepare().catch((error) => fail(error.message));
const { checkParity } = await import("./check/parity.mjs");
const { checkConsistency } = await import("./check/consistency.mjs");
const { measureSpeed } = await import("./check/speed.mjs");

const record = new Record(log);
const python = pythonFor(device);
log(python ? `transformers of ${python}` : "no Python with transformers for this device was found");
// A quick run shares its machine with other tests.
const threads = quick ? 1 : os.availableParallelism();
const load = (folder, options) => library.loadModel(folder, { threads, ...options });
const context = { device, quick, threads, load, library, record, python, log };
for (const [name, part] of Object.entries({
  parity: checkParity,
  consistency: checkConsistency,
  speed: measureSpeed,
})) {
  await record.group(name, "any", () => part(context));
}

const { version } = JSON.parse(readFileSync(path.join(import.meta.dirname, "..", "package.json"), "utf8"));
const facts = [
  ["attention-bypass", version],
  ["libtorch", libtorch.version],
  ["Node.js", process.version],
  ["CPU", processor()],
];
const text = markdown({ device: deviceName(device), facts, record });
process.stdout.write(text);
if (values.output !== undefined) writeFileSync(path.resolve(values.output), text);
process.exitCode = record.failures > 0 ? 1 : 0;
