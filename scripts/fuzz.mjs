// Runs the package on mutated files and hostile calls, in child processes, and prints the results:
//   node scripts/fuzz.mjs [--minutes 10 | --count N] [--seed N] [--format NAME]... [--jobs N] [--calls] [--case INDEX]
// Failing cases are kept in build-fuzz/. The same seed gives the same cases; --case runs one case of a format again.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { makeCase, writeCase } from "./fuzz/case.mjs";
import { formatsOf } from "./fuzz/formats.mjs";
import { Tally } from "./fuzz/table.mjs";
import { Child } from "./fuzz/watch.mjs";

const root = path.join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    count: { type: "string" },
    seed: { type: "string", default: "1" },
    format: { type: "string", multiple: true },
    jobs: { type: "string", default: String(Math.max(1, availableParallelism() - 1)) },
    calls: { type: "boolean", default: false },
    case: { type: "string" },
    kept: { type: "string", default: path.join(root, "build-fuzz") },
  },
});

const work = mkdtempSync(path.join(tmpdir(), "attention-bypass-fuzz-"));
const prepared = path.join(work, "prepared");

/** The libtorch for the child processes, which have another home folder. */
async function libtorchHere() {
  const { findLibtorch } = await import("../dist/libtorch.js");
  const { pinned, pinnedSeries } = await import("./compile.mjs");
  const { found } = await findLibtorch(pinned, [pinnedSeries]);
  if (!found) throw new Error("expected a libtorch; run `npm run setup` first");
  return found.folder;
}

function prepare(environment) {
  mkdirSync(prepared);
  const script = path.join(import.meta.dirname, "fuzz", "prepare.mjs");
  const { status } = spawnSync(process.execPath, [script, prepared], {
    stdio: "inherit",
    env: { ...process.env, ...environment, NODE_OPTIONS: "" },
  });
  if (status !== 0) throw new Error("the valid files could not be created");
}

/** The cases of a run: the formats in turn, until the time or the count is reached. */
function* casesOf(formats) {
  const end = values.minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + 60_000 * Number(values.minutes);
  const count =
    values.count === undefined
      ? values.minutes === undefined
        ? 1000
        : Number.POSITIVE_INFINITY
      : Number(values.count);
  const names = values.calls ? ["calls"] : (values.format ?? Object.keys(formats));
  for (const name of names)
    if (name !== "calls" && !(name in formats))
      throw new Error(`expected a format among ${Object.keys(formats).join(", ")} but received ${name}`);
  if (values.case !== undefined) return yield* names.map((name) => caseOf(formats, name, Number(values.case)));
  for (let index = 0; index < count; index++) {
    if (Date.now() > end) return;
    const name = names[index % names.length];
    yield caseOf(formats, name, Math.floor(index / names.length));
  }
}

const caseOf = (formats, name, index) =>
  name === "calls"
    ? { format: name, seed: values.seed, index, use: { kind: "call" } }
    : makeCase(formats[name], name, values.seed, index);

/** Files that a case may create in its folder. */
const own = ["out.pt"];

function run(child, one) {
  const { use, seed, index } = one;
  if (use.kind === "call") return child.run({ use, seed, index });
  const folder = path.join(child.work, "case");
  writeCase(one, folder);
  return child.run({ use, seed, index, folder }, own);
}

/** Whether a fault may be caused by the load of the machine. Such a case is run again. */
const doubtful = (fault) => /^(hang|event loop|memory)/.test(fault ?? "");

function keep(one, answer) {
  const folder = path.join(values.kept, `${one.format}-${one.seed}-${one.index}`.replaceAll(/[ ,]+/g, "-"));
  mkdirSync(folder, { recursive: true });
  if (one.content) writeCase(one, path.join(folder, "files"));
  const { format, seed, index, use } = one;
  writeFileSync(path.join(folder, "what.json"), JSON.stringify({ format, seed, index, use, ...answer }, undefined, 2));
  return folder;
}

const tally = new Tally();

async function runJob(cases, number, options) {
  const folder = path.join(work, `job-${number}`);
  mkdirSync(folder);
  const child = new Child(folder, options);
  for (const one of cases) {
    let answer = await run(child, one);
    if (doubtful(answer.fault)) answer = await run(child, one);
    tally.add(one.format, answer, answer.fault && keep(one, answer));
  }
  await child.close();
}

try {
  const environment = { ATTENTION_BYPASS_LIBTORCH: await libtorchHere() };
  prepare(environment);
  const cases = casesOf(formatsOf(prepared));
  // All jobs share one generator: each takes the next case.
  await Promise.all(
    Array.from({ length: Number(values.jobs) }, (_, number) => runJob(cases, number, { prepared, environment })),
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(tally.text());
process.exitCode = tally.failures.size === 0 && tally.total > 0 ? 0 : 1;
