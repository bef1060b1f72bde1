// Everything that a GPU computes with libtorch's operators alone, on the CPU: the tests of numbers, decoding and sweeps,
// run again with ATTENTION_BYPASS_OPERATORS=1.
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import t from "tap";

const root = path.join(import.meta.dirname, "..");
const files = ["parity", "heads", "concurrency", "log-probabilities", "sampling", "sweep", "effects"];

t.setTimeout(600_000);

for (const name of files) {
  t.test(name, async (t) => {
    const child = spawn(process.execPath, [...process.execArgv, path.join(root, "test", `${name}.test.ts`)], {
      cwd: root,
      env: { ...process.env, ATTENTION_BYPASS_OPERATORS: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
    const [status] = await once(child, "close");
    const failed = output.split("\n").filter((line) => /^ *not ok /.test(line));
    t.equal(status, 0, failed.join("\n") || output.slice(-2000));
  });
}
