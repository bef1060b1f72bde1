// A sweep that is killed goes on where it was, to the same result; a file that is not its own is refused.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AttentionBypassError, loadModel, type SweepOptions, type SweepResult } from "attention-bypass";
import t from "tap";
import { root } from "./support/child.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { randomTokens, writeRandomModel } from "./support/random-model.ts";

t.setTimeout(600_000);

const folder = await temporaryFolder(t);
await writeRandomModel(folder, { blocks: 6, width: 256, vocabulary: 2000 });
const samples = Array.from({ length: 40 }, (_, row) => randomTokens(64, 2000, row));
/** So little that batches have two rows. */
const memory = 228e6;
const options: SweepOptions = { samples, prefixLength: 32, mode: ["zero", "short-circuit"], memory };

const numbers = ({ base, variants, settings }: SweepResult) => ({ base, variants, settings });
const lines = (file: string): string[] => (existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : []);

const script = `
import { loadModel } from "attention-bypass";
const { folder, options } = JSON.parse(process.argv.at(-1));
const model = await loadModel(folder, { device: "cpu", threads: 1 });
await model.sweep(options);
await model.dispose();
`;

/** Runs the sweep in a process of its own, and kills it once so many lines are in the checkpoint. */
async function killAfter(count: number, resume: string): Promise<number> {
  const argument = JSON.stringify({ folder, options: { ...options, resume } });
  const command = ["-u", "NODE_OPTIONS", process.execPath, "--input-type=module", "--eval", script, "--", argument];
  const child = spawn("env", command, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  const ended = new Promise<void>((resolve) => child.on("exit", () => resolve()));
  while (lines(resume).length < count && child.exitCode === null) await sleep(5);
  // Anywhere on the way to the next line.
  await sleep(20 * count);
  child.kill("SIGKILL");
  await ended;
  return lines(resume).length;
}

const model = await loadModel(folder, { device: "cpu", threads: 1 });
t.teardown(() => model.dispose());
const whole = await model.sweep(options);

t.test("killed with SIGKILL, again and again, and resumed", async (t) => {
  const resume = path.join(await temporaryFolder(t), "sweep.part");
  let done = 0;
  for (const count of [1, 3, 6]) {
    const now = await killAfter(count, resume);
    t.ok(now >= count && now > done, `${now} lines are kept`);
    done = now;
  }
  t.ok(done < 15, "it was not yet done");
  const shares: number[] = [];
  const result = await model.sweep({ ...options, resume, onProgress: (share) => shares.push(share) });
  t.same(numbers(result), numbers(whole));
  t.ok((shares[0] as number) > 0.1, `progress begins where it was, at ${shares[0]}`);
  t.equal(shares.at(-1), 1);
  t.equal(result.cost.operations, whole.cost.operations, "nothing was done twice");

  t.test("a finished sweep is read, not run", async (t) => {
    const began = performance.now();
    const again = await model.sweep({ ...options, resume });
    t.same(numbers(again), numbers(whole));
    t.ok(performance.now() - began < 1000);
    t.equal(again.cost.operations, whole.cost.operations);
  });

  t.test("the budget that it began with is kept where none is asked for", async (t) => {
    const { memory: _, ...rest } = options;
    t.equal((await model.sweep({ ...rest, resume })).cost.memory, memory);
  });

  t.test("a line that was not written to its end is done again", async (t) => {
    const cut = path.join(await temporaryFolder(t), "cut.part");
    const few = { ...options, samples: samples.slice(0, 6) };
    const expected = await model.sweep(few);
    await model.sweep({ ...few, resume: cut });
    const text = await readFile(cut, "utf8");
    const count = lines(cut).length;
    t.ok(count >= 4, "a header and three lines");
    const third = text.split("\n").slice(0, 3).join("\n").length;
    for (const length of [third + 100, third + 1, 40, 0]) {
      await writeFile(cut, text.slice(0, length));
      t.same(numbers(await model.sweep({ ...few, resume: cut })), numbers(expected), `cut at ${length}`);
      t.equal(lines(cut).length, count);
    }
  });

  t.test("other sweeps are refused by what differs", async (t) => {
    const before = await readFile(resume, "utf8");
    const others: [string, SweepOptions, string][] = [
      ["samples", { ...options, samples: samples.slice(1) }, "samples"],
      ["prefix", { ...options, prefixLength: 31 }, "samples"],
      ["metrics", { ...options, metrics: ["exactMatch"] }, "samples"],
      ["blocks", { ...options, over: "pairs" }, "over"],
      ["mode", { ...options, mode: "zero" }, "mode"],
      ["text", { ...options, text: samples[0] as number[] }, "text"],
    ];
    for (const [name, other, said] of others) {
      const message = new RegExp(`settings but these differ: ${said}$`);
      await t.rejects(model.sweep({ ...other, resume }), { code: "RESUME_FILE_MISMATCH", message }, name);
    }
    const second = await loadModel(fixture("neox-serial"), { device: "cpu" });
    const tokens = samples.map((row) => row.map((token) => token % 67).slice(0, 40));
    const refusal = await second.sweep({ ...options, samples: tokens, resume }).catch((error: unknown) => error);
    t.ok(refusal instanceof AttentionBypassError && /model, samples/.test(refusal.message), "another model");
    await second.dispose();
    t.equal(await readFile(resume, "utf8"), before, "the file is as it was");
  });
});

t.test("files that are no checkpoints are refused, and left alone", async (t) => {
  const file = path.join(await temporaryFolder(t), "file");
  const good = path.join(await temporaryFolder(t), "good");
  await model.sweep({ ...options, samples: samples.slice(0, 2), resume: good });
  const [header = "", line = ""] = lines(good);
  const spoiled: Record<string, string> = {
    text: "some notes of mine",
    "text with lines": "some notes\nof mine\n",
    "other JSON": '{"a":1}\n',
    "JSON that is null": "null\n",
    "another format": `${header.replace("sweep, 2", "sweep, 1")}\n`,
    "a line without scores": `${header}\n{"rows":[0]}\n`,
    "a line with too few scores": `${header}\n${line.replace(/"scores":"[^"]{40}/, '"scores":"')}\n`,
    "a line of no JSON": `${header}\nnonsense\n`,
    "rows that are none": `${header}\n${line.replace(/"rows":\[[\d,]*\]/, '"rows":["a","b"]')}\n`,
    "rows beyond the end": `${header}\n${line.replace(/"rows":\[[\d,]*\]/, '"rows":[0,2]')}\n`,
  };
  for (const [name, text] of Object.entries(spoiled)) {
    await writeFile(file, text);
    const sweep = model.sweep({ ...options, samples: samples.slice(0, 2), resume: file });
    await t.rejects(sweep, { code: "RESUME_FILE_INVALID", message: /^expected / }, name);
    t.equal(await readFile(file, "utf8"), text, `${name}: left alone`);
  }
  const missing = path.join(path.dirname(file), "missing", "file");
  await t.rejects(model.sweep({ ...options, resume: missing }), { code: "WRITE_FAILED" }, "no such folder");
  await t.rejects(model.sweep({ ...options, resume: path.dirname(file) }), { code: "RESUME_FILE_INVALID" }, "a folder");
});

t.test("an aborted sweep keeps what it has done", async (t) => {
  const resume = path.join(await temporaryFolder(t), "sweep.part");
  const copy = `${resume}.copy`;
  const controller = new AbortController();
  const reason = new Error("enough");
  const aborted = model.sweep({
    ...options,
    resume,
    signal: controller.signal,
    onProgress: (share) => share > 0.3 && controller.abort(reason),
  });
  await t.rejects(aborted, reason);
  t.ok(lines(resume).length > 2);
  await copyFile(resume, copy);
  t.same(numbers(await model.sweep({ ...options, resume: copy })), numbers(whole));
});
