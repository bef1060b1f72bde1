// Checks the package on a GPU, and prints a table that can be committed: npm run check-cuda -- --output docs/cuda-check.md
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { groupNames, runGroup } from "./check/groups.mjs";
import { addonFor, libtorchFor } from "./check/libtorch.mjs";
import { deviceName, processor } from "./check/machine.mjs";
import { Record } from "./check/record.mjs";
import { markdown } from "./check/table.mjs";

const options = {
  device: { type: "string", default: "cuda:0" },
  quick: { type: "boolean", default: false },
  only: { type: "string", default: groupNames.join(",") },
  minutes: { type: "string" },
  output: { type: "string" },
  help: { type: "boolean", default: false },
};
const help = `npm run check-cuda -- [options]

  --device DEVICE  cuda:N, or cpu to test the checks themselves                 (cuda:0)
  --quick          run each check on one model of each kind, with fewer rows, and smaller models for the speeds
  --only GROUPS    the groups to run, separated by commas (${groupNames.join(",")})
  --minutes NUMBER end after this time; what has not completed counts as failed
  --output FILE    also write the table to this file, anew after each check

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
const groups = values.only.split(",");
for (const name of groups) {
  if (!groupNames.includes(name)) fail(`--only must have names among ${groupNames.join(", ")}, not "${name}"`);
}
const minutes = values.minutes === undefined ? Number.POSITIVE_INFINITY : Number(values.minutes);
if (!(minutes > 0)) fail(`--minutes must be a number above 0, not "${values.minutes}"`);
const deadline = performance.now() + 60_000 * minutes;

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
  return libtorch;
}

const libtorch = await prepare().catch((error) => fail(error.message));
const { version } = JSON.parse(readFileSync(path.join(import.meta.dirname, "..", "package.json"), "utf8"));
const facts = [
  ["attention-bypass", version],
  ["libtorch", libtorch.version],
  ["Node.js", process.version],
  ["CPU", processor()],
];
const name = deviceName(device);
const table = () => markdown({ device: name, facts, record });
const record = new Record(log, () => {
  // Written as it goes, so that nothing is lost if this process is killed.
  if (values.output !== undefined) writeFileSync(path.resolve(values.output), table());
});
for (const group of groups) await runGroup(group, { device, quick, deadline, record });
process.stdout.write(table());
process.exitCode = record.failures > 0 ? 1 : 0;
