// Progress where stderr is no terminal: a line now and then, and none with --json.
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { progressLine, withProgress } from "../lib/cli/progress.ts";

t.test("a line", async (t) => {
  t.equal(progressLine("Sweeping", 0, 60), "Sweeping, 0 % done");
  t.equal(progressLine("Sweeping", 0.25, 60), "Sweeping, 25 % done, about 3 min left");
  t.equal(progressLine("Sweeping", 0.999, 60), "Sweeping, 99 % done, about 1 s left");
  t.equal(progressLine("Sweeping", 0.01, 60), "Sweeping, 1 % done, about 1 h 39 min left");
});

/** What work of 150 ms writes to stderr, which tap makes no terminal, with a line every 40 ms. */
async function logged(t: Test, json: boolean): Promise<string> {
  const lines = t.capture(process.stderr, "write", () => true);
  await withProgress(
    "Working",
    { json },
    async (onProgress) => {
      onProgress?.(0.5);
      await sleep(150);
    },
    40,
  );
  const count = lines().length;
  await sleep(100);
  t.equal(lines().length, 0, "nothing after the end");
  return count === 0 ? "" : "lines";
}

t.test("in a log", async (t) => {
  const terminal = process.stderr.isTTY;
  process.stderr.isTTY = false;
  t.teardown(() => {
    process.stderr.isTTY = terminal;
  });
  t.equal(await logged(t, false), "lines");
  t.equal(await logged(t, true), "");
});
