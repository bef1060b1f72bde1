// What the package shows, and what it takes: libtorch not before a model, one native part for both module systems.
import { createRequire } from "node:module";
import * as esm from "attention-bypass";
import t from "tap";
import type { Addon, NativeControl, NativeGenerator, NativeModel, NativeScorer } from "../lib/addon/native.ts";
import { runScript } from "./support/child.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { writeRandomModel } from "./support/random-model.ts";

t.setTimeout(600_000);

const require = createRequire(import.meta.url);

/** The names of an interface, each of which the compiler demands. */
const names = <Interface>(all: Record<keyof Interface, true>): string[] => Object.keys(all).sort();

t.test("the addon is what lib/addon/native.ts says", async (t) => {
  await (await esm.loadModel(fixture("neox-serial"), { device: "cpu" })).dispose();
  const binding = require("../binding/index.cjs") as { series(): string[]; loadAddon(series: string): Addon };
  // The series that the model was loaded with; a checkout may have addons for others.
  const { version } = (await esm.diagnose()).libtorch as esm.Libtorch;
  const series = binding.series().find((name) => version.startsWith(`${name}.`)) as string;
  const addon = binding.loadAddon(series);
  const exported = names<Addon>({
    Control: true,
    Model: true,
    Generator: true,
    Scorer: true,
    platform: true,
    freeMemory: true,
    launches: true,
    Traced: true,
    endAll: true,
  });
  t.same(Object.keys(addon).sort(), exported);
  const methods = (one: { prototype: object }) =>
    Object.getOwnPropertyNames(one.prototype)
      .filter((name) => name !== "constructor")
      .sort();
  t.same(methods(addon.Control as never), names<NativeControl>({ abort: true }), "Control");
  t.same(
    methods(addon.Generator as never),
    names<NativeGenerator>({ add: true, step: true, remove: true }),
    "Generator",
  );
  t.same(methods(addon.Scorer as never), names<NativeScorer>({ take: true, score: true, effects: true }), "Scorer");
  t.same(
    methods(addon.Model as never),
    names<NativeModel>({
      load: true,
      widen: true,
      save: true,
      weights: true,
      saveWeights: true,
      logits: true,
      attention: true,
      diverge: true,
      close: true,
    }),
    "Model",
  );
  const { libtorch, cpuCapability, cpuKernels, cpuArithmetic, threads, cudaDevices, cudaRefusal } =
    await addon.platform();
  t.match(libtorch, /^2\.13\./);
  t.type(cpuCapability, "string");
  t.ok(["", "AVX2", "AVX-512"].includes(cpuKernels), cpuKernels);
  t.ok(["bfloat16", "float32"].includes(cpuArithmetic.bfloat16), cpuArithmetic.bfloat16);
  t.ok(["float16", "float32"].includes(cpuArithmetic.float16), cpuArithmetic.float16);
  t.ok(threads >= 1);
  t.equal(cudaRefusal === "", cudaDevices > 0, "why there are none");
});

t.test("both module systems show the same", async (t) => {
  const cjs = require("attention-bypass");
  const exported = Object.keys(esm).filter((name) => name !== "default" && name !== "module.exports");
  t.same(Object.keys(cjs).sort(), exported.sort());
  t.same(exported.sort(), [
    "AttentionBypassError",
    "benchmarkNames",
    "convert",
    "createEffectsReport",
    "createPaperReport",
    "createReport",
    "createScanReport",
    "createTrainingReport",
    "defaultMemorizationMetrics",
    "diagnose",
    "download",
    "drawFigure",
    "embeddedMeasures",
    "embeddedModel",
    "embeddedModels",
    "errorCodes",
    "loadModel",
    "memorizationMetrics",
    "recommend",
    "reproducePaper",
    "samplesToExtract",
    "selectivity",
    "serve",
    "showFigure",
    "showReport",
    "sweepRevisions",
    "writeReport",
  ]);
});

t.test("a model shows its operations", async (t) => {
  const model = await esm.loadModel(fixture("neox-serial"), { device: "cpu" });
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(model)).filter((name) => name !== "constructor");
  t.same(methods.sort(), [
    "attention",
    "benchmark",
    "dispose",
    "divergence",
    "effects",
    "generate",
    "logProbabilities",
    "logits",
    "perplexity",
    "scan",
    "scoreMemorization",
    "stream",
    "sweep",
  ]);
  t.same(Object.keys(model).sort(), ["config", "device", "deviceReason", "dtype", "notices", "tokenizer"]);
  t.equal(typeof model[Symbol.asyncDispose], "function");
  await model.dispose();
});

const maps = `
import { readFileSync } from "node:fs";
const mapped = (pattern) => new Set(
  readFileSync("/proc/self/maps", "utf8").split("\\n").map((line) => line.slice(73)).filter((file) => pattern.test(file)),
).size;
const folder = process.argv.at(-1);
`;

t.test("importing the package loads no libtorch, loading a model does", async (t) => {
  const { code, stdout, stderr } = await runScript(
    `${maps}
const native = () => [mapped(/libtorch_cpu/), mapped(/libc10/), mapped(/\\.node$/)].join();
const esm = await import("attention-bypass");
console.log(native());
const { createRequire } = await import("node:module");
createRequire(process.cwd() + "/")("attention-bypass");
console.log(native());
await esm.loadModel("nowhere").catch(() => undefined);
await esm.loadModel(folder, { device: "cpu" });
console.log(native());`,
    [fixture("neox-serial")],
  );
  t.equal(code, 0, stderr);
  t.same(stdout.trim().split("\n"), ["0,0,0", "0,0,0", "1,1,2"]);
});

t.test("both module systems share the native part in one process", async (t) => {
  const { code, stdout, stderr } = await runScript(
    `${maps}
import { createRequire } from "node:module";
import * as esm from "attention-bypass";
const cjs = createRequire(process.cwd() + "/")("attention-bypass");
const models = await Promise.all([esm, cjs].map((one) => one.loadModel(folder, { device: "cpu" })));
const [one, two] = await Promise.all(models.map((model) => model.logits([1, 2, 3])));
console.log(one.data.length > 0 && one.data.every((value, index) => value === two.data[index]));
console.log(mapped(/libtorch_cpu/), mapped(/libc10\\.so/), mapped(/\\.node$/));
await Promise.all(models.map((model) => model.dispose()));
const error = await models[1].logits([1]).catch((error) => error);
console.log(error.code, error instanceof cjs.AttentionBypassError, error.name);`,
    [fixture("neox-serial")],
  );
  t.equal(code, 0, stderr);
  t.same(stdout.trim().split("\n"), ["true", "1 1 2", "DISPOSED true AttentionBypassError"]);
});

t.test("threads are as many as were asked for, whatever other models have", async (t) => {
  const folder = await temporaryFolder(t);
  await writeRandomModel(folder, { blocks: 2, width: 256 });
  const { code, stdout, stderr } = await runScript(
    `
import { readdirSync } from "node:fs";
import { loadModel } from "attention-bypass";
const threads = () => readdirSync("/proc/self/task").length;
const folder = process.argv.at(-1);
// A model that nobody holds any more is collected, and its thread with it.
const models = [];
const load = async (threads) => {
  models.push(await loadModel(folder, { device: "cpu", threads }));
  return models.at(-1);
};
// Loading and a model's first products make its threads; one more is the model's own.
const made = async (count) => {
  const before = threads();
  const model = await load(count);
  await model.logits([Array(128).fill(1), Array(128).fill(2)]);
  return threads() - before - 1;
};
const work = (model) => model.logits([Array(128).fill(1), Array(128).fill(2)]);
await work(await load(1));
console.log(await made(1), await made(4), await made(1));
const before = threads();
await work(models[1]);
console.log(threads() - before, await made(3));
await Promise.all(models.map((model) => model.dispose()));`,
    [folder],
  );
  t.equal(code, 0, stderr);
  t.same(stdout.trim().split("\n"), ["0 3 0", "0 2"]);
});
