// Runs one group of checks, and sends each result to the parent process: node group.mjs NAME DEVICE QUICK
import os from "node:os";
import * as library from "attention-bypass";
import { checkConsistency } from "./consistency.mjs";
import { checkParity } from "./parity.mjs";
import { pythonFor } from "./python.mjs";
import { Record } from "./record.mjs";
import { measureSpeed } from "./speed.mjs";

const [name, device, quickly] = process.argv.slice(2);
const quick = quickly === "true";
const log = (text) => console.error(`check-cuda: ${text}`);
const record = new Record(log, (result) => process.send(result));
const python = pythonFor(device);
log(python ? `transformers of ${python}` : "no Python with transformers for this device was found");
// A quick run shares its machine with other tests.
const threads = quick ? 1 : os.availableParallelism();
const load = (folder, options) => library.loadModel(folder, { threads, ...options });
const work = { parity: checkParity, consistency: checkConsistency, speed: measureSpeed }[name];
await record.group(name, "any", () => work({ device, quick, threads, load, library, record, python, log }));
process.disconnect();
