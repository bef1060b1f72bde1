// Memory that runs out and disks that are full are errors with a code: nothing crashes, nothing half-written stays, and
// the model works on.
import { mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { runScript } from "./support/child.ts";
import { nothingFails, runFailing } from "./support/failing.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { writeRandomModel } from "./support/random-model.ts";

t.setTimeout(300_000);

const begin = `
import { convert, createReport, loadModel, writeReport } from "attention-bypass";
const fixture = ${JSON.stringify(fixture("neox-serial"))};
const output = process.argv.at(-1);
const here = { device: "cpu", threads: 1 };
const row = [1, 2, 3, 4, 5, 6];
`;

const allocations = `
const model = await loadModel(fixture, here);
const tasks = [{ name: "own", questions: [{ query: row, choices: [[1], [2, 3]], gold: 0 }] }];
const calls = {
  loadModel: async () => (await loadModel(fixture, here)).dispose(),
  "loadModel in bfloat16": async () => (await loadModel(fixture, { ...here, dtype: "bfloat16" })).dispose(),
  convert: () => convert(fixture, output + "/model.pt"),
  logits: () => model.logits([row, row]),
  generate: () => model.generate(row, { maxNewTokens: 3, stopAtEndOfText: false }),
  perplexity: () => model.perplexity(row),
  scoreMemorization: () => model.scoreMemorization([row, row], { prefixLength: 3 }),
  sweep: () => model.sweep({ samples: [row], prefixLength: 3, tasks }),
  attention: () => model.attention([row]),
  divergence: () => model.divergence(row, { bypass: { blocks: [0] } }),
};
const good = JSON.stringify(await model.logits([row]));
const seen = {};
for (const [name, call] of Object.entries(calls)) {
  await call();
  const codes = (seen[name] = {});
  // Each of the first allocations, then fewer and fewer.
  for (let which = 1; which < 3000; which += 1 + Math.floor(which / 3)) {
    failAllocation(which);
    const outcome = await call().then(() => "succeeded", (error) => error.code ?? String(error));
    if (failed() === 0) break;
    codes[outcome] = (codes[outcome] ?? 0) + 1;
  }
}
console.log(JSON.stringify({ seen, same: JSON.stringify(await model.logits([row])) === good }));
await model.dispose();
`;

t.test("any allocation of a tensor may fail", { skip: nothingFails }, async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, "output"));
  const { code, signal, stdout, stderr } = await runFailing(`${begin}diskHolds(1e9);${allocations}`, folder);
  t.same([code, signal], [0, null], stderr.slice(-2000));
  const { seen, same } = JSON.parse(stdout) as { seen: Record<string, Record<string, number>>; same: boolean };
  for (const [name, codes] of Object.entries(seen)) {
    const { OUT_OF_MEMORY: refused = 0, ...others } = codes;
    t.ok(refused >= 3, `${name}: ${refused} times OUT_OF_MEMORY`);
    t.same(others, {}, `${name}: nothing else`);
  }
  t.ok(same, "the model works as before");
});

t.test("more memory than the process may have", async (t) => {
  const folder = await temporaryFolder(t);
  // 94 MB in float32; the logits of 64 rows take 307 MB.
  await writeRandomModel(folder, { blocks: 1, width: 512, vocabulary: 20_000, contextLength: 64 });
  const { code, signal, stdout, stderr } = await runScript(
    `
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { loadModel } from "attention-bypass";
const folder = process.argv.at(-1);
const here = { device: "cpu", threads: 1 };
const outcome = (call) => call.then(() => "succeeded", (error) => error.code ?? String(error));
const data = () => 1024 * Number(/VmData:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]);
const allow = (more) => execFileSync("prlimit", ["--pid", String(process.pid), "--data=" + (more ? data() + more : "unlimited") + ":"]);
const model = await loadModel(folder, here);
const row = Array.from({ length: 60 }, (_, index) => index);
const codes = [];
allow(150e6);
codes.push(await outcome(model.logits(Array(64).fill(row))));
codes.push(await outcome(model.logits([[1, 2, 3]])));
allow(60e6);
codes.push(await outcome(loadModel(folder, here)));
codes.push(await outcome(model.logits([[1, 2, 3]])));
allow(0);
codes.push(await outcome(model.logits(Array(8).fill(row))));
await model.dispose();
console.log(codes.join());`,
    [folder],
  );
  t.same([code, signal], [0, null], stderr.slice(-2000));
  t.equal(stdout.trim(), "OUT_OF_MEMORY,succeeded,OUT_OF_MEMORY,succeeded,succeeded");
});

/** How many bytes fit before the disk is full; an archive has over 110,000. */
const rooms = { small: [0, 100], archive: [0, 100, 70_000, 110_000] };

const writers = `
const model = await loadModel(fixture, here);
const tasks = [{ name: "own", group: "reasoning", questions: [{ query: row, choices: [[1], [2, 3]], gold: 0 }] }];
const report = createReport(await model.sweep({ samples: [row, row], prefixLength: 3, tasks }));
const writers = {
  "model.pt": (file) => convert(fixture, file),
  "resume.jsonl": (file) => model.sweep({ samples: [row], prefixLength: 3, resume: file }),
  ...Object.fromEntries(
    ["report.html", "report.md", "figure.svg", "figure.png"].map((name) => [name, (file) => writeReport(report, file)]),
  ),
};
const seen = {};
for (const [name, write] of Object.entries(writers)) {
  seen[name] = [];
  for (const bytes of name === "model.pt" ? ${JSON.stringify(rooms.archive)} : ${JSON.stringify(rooms.small)}) {
    diskHolds(bytes);
    seen[name].push(await write(output + "/" + name).then(() => "succeeded", (error) => error.code ?? String(error)));
  }
}
console.log(JSON.stringify(seen));
await model.dispose();
`;

t.test("a disk that is full", { skip: nothingFails }, async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, "output"));
  const { code, signal, stdout, stderr } = await runFailing(begin + writers, folder);
  t.same([code, signal], [0, null], stderr.slice(-2000));
  for (const [name, codes] of Object.entries(JSON.parse(stdout) as Record<string, string[]>)) {
    const expected = (name === "model.pt" ? rooms.archive : rooms.small).map(() => "DISK_FULL");
    t.same(codes, expected, name);
  }
  // What a sweep resumes from is a log, whose last line may be cut off.
  const left = (await readdir(path.join(folder, "output"))).filter((name) => name !== "resume.jsonl");
  t.same(left, [], "nothing is left behind");
});
