// Measures the difference of Hugging Face transformers in half precision from float32. half-differences.json has the values of
// the CPU, for devices without transformers: node scripts/check/half-differences.mjs PYTHON > scripts/check/half-differences.json
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { checkpoints, readExpected } from "./fixtures.mjs";

const at = (name) => path.join(import.meta.dirname, name);

function measure(python, known, device) {
  const input = JSON.stringify(known.map(({ name, folder }) => ({ name, folder, ...readExpected(folder) })));
  const stdio = ["pipe", "pipe", "ignore"];
  const { status, stdout } = spawnSync(python, [at("half_differences.py"), device], { input, stdio, encoding: "utf8" });
  return status === 0 ? JSON.parse(stdout) : undefined;
}

/** The differences by checkpoint and dtype, without the traced checkpoints, which transformers does not load. */
export function halfDifferences(python, known, device, log) {
  const measured = python && measure(python, known, device);
  if (measured) return measured;
  log("for half precision transformers' differences from float32 are those kept of the CPU");
  return JSON.parse(readFileSync(at("half-differences.json"), "utf8"));
}

if (process.argv[1] === import.meta.filename) {
  console.log(JSON.stringify(measure(process.argv[2], checkpoints(), "cpu"), null, 2));
}
