// The same sweep on each checkpoint of a training: from a folder and from the hub, interrupted and continued.
import { existsSync, readdirSync } from "node:fs";
import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  AttentionBypassError,
  download,
  loadModel,
  type RevisionsResult,
  type SweepResult,
  sweepRevisions,
} from "attention-bypass";
import t, { type Test } from "tap";
import { temporaryFolder } from "./support/fixtures.ts";
import { cached, expected, id, measures, series, serveSeries, steps, weightsSent } from "./support/training-series.ts";

t.setTimeout(300_000);

const sweepOf = (result: RevisionsResult<"exactMatch">, name: string) =>
  result.revisions.find((revision) => revision.name === name)?.sweep;
const numbers = ({ base, variants, settings }: SweepResult<"exactMatch">) => ({ base, variants, settings });

async function refuses(t: Test, work: Promise<unknown>, code: string, message: RegExp) {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  t.ok(error instanceof AttentionBypassError, "it is refused");
  t.match(error, { code, message });
}

t.test("a folder: the numbers of each checkpoint, which are those of transformers", async (t) => {
  const progress: number[] = [];
  const result = await sweepRevisions(series, {
    ...measures,
    revisions: "step*",
    onProgress: (fraction) => progress.push(fraction),
  });
  t.equal(result.format, "attention-bypass revisions, 1");
  t.same(
    result.revisions.map(({ name, step }) => [name, step]),
    steps.map((name) => [name, Number(name.slice(4))]),
    "in the order of the steps, not of the names",
  );
  t.equal(progress.at(-1), 1);
  t.ok(
    progress.every((fraction, index) => index === 0 || fraction > (progress[index - 1] as number)),
    "progress only increases",
  );
  for (const { name, sweep, weights } of result.revisions) {
    const counts = expected[name];
    t.equal(Math.round((sweep?.base.memorization?.exactMatch ?? -1) * 24), counts?.secrets, `secrets of ${name}`);
    t.equal(Math.round((sweep?.base.tasks?.causes?.accuracy ?? -1) * 60), counts?.causes, `answers of ${name}`);
    await using model = await loadModel(path.join(series, name), { device: "cpu", threads: 1 });
    const { device: _, threads: __, ...options } = measures;
    const alone = await model.sweep(options);
    t.ok(sweep && isDeepStrictEqual(numbers(sweep), numbers(alone)), `the sweep of ${name} is that of the model`);
    t.same(
      weights.map(({ hash }) => hash),
      alone.settings.model.files.map(({ sha256 }) => sha256),
    );
  }
  t.equal(expected.step0?.secrets, 0);
  t.ok((expected.step640?.secrets ?? 0) >= 20, "the secrets are learned");
  const control = await sweepRevisions(series, {
    ...measures,
    samples: path.join(series, "control.jsonl"),
    revisions: ["step0", "step640"],
  });
  t.same(
    control.revisions.map(({ sweep }) => sweep?.base.memorization?.exactMatch),
    [0, 0],
    "the control is not",
  );
});

t.test("the hub: a pattern, doubled weights, and no download left", async (t) => {
  const { hub, cacheFolder, where } = await serveSeries(t);
  const options = { ...measures, ...where, revisions: ["step*", "main"] };
  const result = await sweepRevisions(id, options);
  const local = await sweepRevisions(series, { ...measures, revisions: steps });
  t.same(
    result.revisions.map(({ name, sameWeightsAs }) => [name, sameWeightsAs]),
    [
      ...steps.slice(0, 5).map((name) => [name, undefined]),
      ["step480", "step320"],
      ["step640", undefined],
      ["main", "step640"],
    ],
  );
  for (const { name, commit } of result.revisions) t.equal(commit, hub.commit(id, name));
  for (const name of steps) {
    t.ok(isDeepStrictEqual(sweepOf(result, name)?.base, sweepOf(local, name)?.base), `${name} is that of the folder`);
  }
  t.equal(weightsSent(hub), steps.length, "each weights file is downloaded once");
  t.same([cached(cacheFolder, "blobs"), cached(cacheFolder, "snapshots")], [[], []], "nothing is left in the cache");
});

t.test("the hub: what was in the cache stays, and with keep everything does", async (t) => {
  const { hub, cacheFolder, where } = await serveSeries(t);
  await download(id, { ...where, revision: "step40" });
  const before = cached(cacheFolder, "snapshots");
  t.equal(before.length, 1);
  await sweepRevisions(id, { ...measures, ...where, revisions: ["step0", "step40"] });
  t.same(cached(cacheFolder, "snapshots"), before, "the earlier download stays");
  t.equal(weightsSent(hub), 2, "and is not repeated");
  await sweepRevisions(id, { ...measures, ...where, revisions: ["step0", "step80"], keep: true });
  t.same(
    cached(cacheFolder, "snapshots"),
    ["step0", "step40", "step80"].map((name) => hub.commit(id, name)).sort(),
    "with keep, the downloads stay",
  );
  t.same(cached(cacheFolder, "refs"), ["step0", "step40", "step80"], "and are found by name");
});

t.test("an aborted call leaves no download, and one with a resume folder goes on where it was", async (t) => {
  const { hub, cacheFolder, where } = await serveSeries(t);
  const options = { ...measures, ...where, revisions: ["step0", "step40", "step80"] };
  const abortAt = async (share: number, more: object) => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const onProgress = (fraction: number) => {
      if (fraction > share) controller.abort(reason);
    };
    await t.rejects(sweepRevisions(id, { ...options, ...more, signal: controller.signal, onProgress }), reason);
  };
  await abortAt(0.45, {});
  t.same(cached(cacheFolder, "snapshots"), [], "without a resume folder, nothing is left");

  const resume = path.join(await temporaryFolder(t), "revisions");
  const sent = weightsSent(hub);
  await abortAt(0.45, { resume });
  t.equal(weightsSent(hub) - sent, 2, "two revisions were downloaded");
  t.same(cached(cacheFolder, "snapshots"), [hub.commit(id, "step40")], "the interrupted revision is kept");
  const result = await sweepRevisions(id, { ...options, resume });
  t.equal(weightsSent(hub) - sent, 3, "only the third is downloaded by the call that continues");
  t.same(cached(cacheFolder, "snapshots"), [], "and then all are removed");
  t.same(
    readdirSync(resume).map((name) => path.extname(name)),
    [".json", ".json", ".json", ".json"],
  );
  const whole = await sweepRevisions(series, { ...measures, revisions: ["step0", "step40", "step80"] });
  for (const name of ["step0", "step40", "step80"]) {
    const [one, two] = [sweepOf(result, name), sweepOf(whole, name)];
    t.ok(one && two && isDeepStrictEqual(numbers(one), numbers(two)), `${name} is as without the interruption`);
  }
  const more = await sweepRevisions(id, { ...options, resume, revisions: ["step40", "step160"] });
  t.equal(weightsSent(hub) - sent, 4, "other revisions may be added");
  t.same(
    more.revisions.map(({ name }) => name),
    ["step40", "step160"],
  );

  await refuses(
    t,
    sweepRevisions(id, { ...options, resume, mode: "short-circuit" }),
    "RESUME_FILE_MISMATCH",
    /these differ: mode$/,
  );
  for (const name of readdirSync(resume)) await writeFile(path.join(resume, name), "{");
  await refuses(t, sweepRevisions(id, { ...options, resume }), "RESUME_FILE_INVALID", /remove the file/);
});

t.test("means are each model's own", async (t) => {
  const control = path.join(series, "control.jsonl");
  const options = { ...measures, mode: "mean" } as const;
  const { revisions } = await sweepRevisions(series, {
    ...options,
    revisions: ["step160", "step640"],
    means: async (model) => (await model.attention(control)).means,
  });
  for (const { name, sweep } of revisions) {
    await using model = await loadModel(path.join(series, name), { device: "cpu", threads: 1 });
    const { means } = await model.attention(control);
    const { device: _, threads: __, ...sweepOptions } = options;
    const alone = await model.sweep({ ...sweepOptions, means });
    t.ok(sweep && isDeepStrictEqual(numbers(sweep), numbers(alone)), name);
  }
});

t.test("what is refused, before any work where it can be", async (t) => {
  const { hub, where } = await serveSeries(t);
  const call = (more: object) => sweepRevisions(id, { ...measures, ...where, revisions: ["step0"], ...more });
  const pattern = /expected a pattern of these revisions: main, step0, step40, step80, step160 and 3 more/;
  await refuses(t, call({ revisions: "epoch*" }), "INVALID_ARGUMENT", pattern);
  await refuses(t, call({ revisions: ["step0", "step*"] }), "INVALID_ARGUMENT", /step0 is chosen twice/);
  await refuses(t, call({ revisions: [] }), "INVALID_ARGUMENT", /options.revisions/);
  await refuses(t, call({ revisions: ["step7"] }), "REVISION_NOT_FOUND", /^revision step7: /);
  await refuses(t, call({ stepps: 1 }), "INVALID_ARGUMENT", /options.stepps/);
  await refuses(t, call({ rows: 0 }), "INVALID_ARGUMENT", /options.rows/);
  await refuses(t, call({ device: "gpu" }), "INVALID_ARGUMENT", /options.device/);
  await refuses(
    t,
    sweepRevisions(`${id}@main`, { ...measures, ...where, revisions: "step0" }),
    "INVALID_ARGUMENT",
    /without a revision/,
  );
  t.equal(weightsSent(hub), 0, "nothing was downloaded");
  await refuses(t, sweepRevisions("no/such/place", { ...measures, revisions: "a" }), "FILE_NOT_FOUND", /no\/such/);
});

t.test("revisions that are not alike", async (t) => {
  const folder = await temporaryFolder(t);
  for (const name of ["step0", "step40"]) await symlink(path.join(series, name), path.join(folder, name));
  const other = path.join(folder, "step80");
  await cp(path.join(series, "step80"), other, { recursive: true });
  const file = path.join(other, "tokenizer.json");
  const tokenizer = JSON.parse(await readFile(file, "utf8"));
  tokenizer.model.merges.splice(20);
  await writeFile(file, JSON.stringify(tokenizer));
  const resume = path.join(folder, "resume");
  const options = { ...measures, revisions: "step*", resume };
  await refuses(
    t,
    sweepRevisions(folder, options),
    "REVISIONS_DIFFER",
    /samples and tasks of step80 differ from those of step0/,
  );

  await rm(other, { recursive: true });
  await mkdir(other);
  await cp(path.join(series, "step80", "config.json"), path.join(other, "config.json"));
  await refuses(t, sweepRevisions(folder, options), "WEIGHTS_MISSING", /^revision step80: /);
  const rest = await sweepRevisions(folder, { ...options, revisions: ["step0", "step40"] });
  t.equal(rest.revisions.length, 2, "the others can be measured");
  t.ok(existsSync(path.join(resume, "revisions.json")));
});
