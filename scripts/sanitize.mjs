// Runs tests on addons that are compiled with sanitizers, in a copy of this checkout in build-sanitized/, so that the normal
// addons are not changed:
//   node scripts/sanitize.mjs [--sanitize address,undefined] [--build-only] [--minutes 1] [test files]
// Without test files, runs the tests of the readers and the binding, then mutated files and hostile calls, then, if clang is
// installed, libFuzzer on the reader of tensors. Fails if a test fails or a sanitizer reports an error. libtorch itself is not
// instrumented.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { pinned, pinnedSeries } from "./compile.mjs";

const root = path.join(import.meta.dirname, "..");
const work = path.join(root, "build-sanitized");
const copy = path.join(work, "attention-bypass");
const reports = path.join(work, "reports");

/** The tests of the readers of weights, of the binding's conversions and of threads. */
const standardTests = [
  "bad-arguments",
  "bad-tensors",
  "bad-weights",
  "concurrency",
  "heads",
  "parity",
  "refused-calls",
  "sampling",
].map((name) => `test/${name}.test.ts`);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sanitize: { type: "string", default: "address,undefined" },
    minutes: { type: "string", default: "1" },
    "build-only": { type: "boolean", default: false },
  },
});

const capture = (command, args, options = {}) =>
  spawnSync(command, args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 28, ...options }).stdout.trim();

/** Copies the files of the checkout. Keeps earlier build results, which CMake updates. */
function copyCheckout() {
  mkdirSync(copy, { recursive: true });
  const files = capture("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).split("\0");
  for (const name of files.filter((name) => name !== "" && existsSync(path.join(root, name)))) {
    const target = path.join(copy, name);
    // Keeps the times, so that only changed files are compiled again.
    cpSync(path.join(root, name), target, { preserveTimestamps: true });
  }
  const gone = capture("git", ["ls-files", "-z", "--deleted"]).split("\0");
  for (const name of gone.filter((name) => name !== "")) rmSync(path.join(copy, name), { force: true });
  for (const folder of ["src", "binding"]) {
    for (const name of readdirSync(path.join(copy, folder), { recursive: true })) {
      if (!existsSync(path.join(root, folder, name)))
        rmSync(path.join(copy, folder, name), { recursive: true, force: true });
    }
  }
  cpSync(path.join(root, "dist"), path.join(copy, "dist"), { recursive: true, preserveTimestamps: true });
  const link = (from, to) => existsSync(to) || (existsSync(from) && symlinkSync(from, to));
  link(path.join(root, "node_modules"), path.join(copy, "node_modules"));
  link(path.join(root, ".cache"), path.join(copy, ".cache"));
  link(path.join(root, "..", "shared"), path.join(work, "shared"));
}

async function libtorch() {
  const { findLibtorch } = await import("../dist/libtorch.js");
  const { found } = await findLibtorch(pinned, [pinnedSeries]);
  if (!found) throw new Error("expected a libtorch; run `npm run setup` first");
  return found;
}

/** Compiles the addons in the copy and returns the exit code. */
async function compile() {
  const found = await libtorch();
  const { compileAddons, addonFolder } = await import(path.join(copy, "scripts", "compile.mjs"));
  const status = compileAddons(found.folder, pinnedSeries, "inherit", [`--CDSANITIZE=${values.sanitize}`]);
  if (status === 0) writeFileSync(path.join(addonFolder(pinnedSeries), "libtorch.txt"), found.folder);
  return status;
}

/** The environment variables with which Node.js can load addons compiled with sanitizers. */
function sanitizerEnvironment() {
  const library = (name) => capture("c++", [`-print-file-name=${name}`]);
  const kind = values.sanitize.includes("thread") ? "libtsan.so" : "libasan.so";
  // Leaks are not reported: Node.js, V8 and libtorch keep memory until the process ends. test/memory.test.ts checks for leaks.
  const common = `log_path=${path.join(reports, "report")}:print_stacktrace=1`;
  return {
    ...process.env,
    CI: "",
    // libstdc++ must be loaded before the runtime looks for the functions of exceptions.
    LD_PRELOAD: `${library(kind)} ${library("libstdc++.so.6")}`,
    ASAN_OPTIONS: `${common}:detect_leaks=0:allocator_may_return_null=1`,
    UBSAN_OPTIONS: common,
    TSAN_OPTIONS: common,
  };
}

const run = (command, args, env) => spawnSync(command, args, { cwd: copy, stdio: "inherit", env }).status ?? 1;

function runTests() {
  const tests = positionals.length > 0 ? positionals : standardTests;
  const tap = path.join(copy, "node_modules", ".bin", "tap");
  return run(tap, ["--jobs=1", ...tests], sanitizerEnvironment());
}

/** Runs mutated files and hostile calls, which cover conversions that the tests do not. */
function runFuzzer() {
  const fuzz = path.join(copy, "scripts", "fuzz.mjs");
  const begin = [fuzz, "--jobs", "1", "--minutes", values.minutes, "--kept", path.join(work, "fuzz")];
  const runs = [begin, [...begin, "--calls"]];
  return runs.map((args) => run(process.execPath, args, sanitizerEnvironment())).find((status) => status !== 0) ?? 0;
}

/** Compiles and runs the target of libFuzzer, which reads tensors without Node.js. */
async function runLibFuzzer() {
  const clang = ["clang++", "clang++-14", "clang++-15", "clang++-16"].find(
    (name) => !spawnSync(name, ["--version"]).error,
  );
  if (clang === undefined) {
    console.log("libFuzzer is skipped: clang is not installed");
    return 0;
  }
  const { folder } = await libtorch();
  const target = path.join(work, "stored_tensor");
  const include = path.join(folder, "include");
  const sources = [
    "test/fuzz-cpp/stored_tensor.cpp",
    ...["weights/stored_tensor", "weights/weight_file", "base/finite"].map((name) => `src/${name}.cpp`),
  ];
  const compiled = run(clang, [
    ...[
      "-std=c++20",
      "-O1",
      "-g1",
      "-fsanitize=fuzzer,address,undefined",
      "-fno-sanitize=vptr",
      "-DATTENTION_BYPASS_ONE_VERSION",
    ],
    ...["-Isrc", "-isystem", include, "-isystem", path.join(include, "torch", "csrc", "api", "include"), ...sources],
    ...[
      "-o",
      target,
      `-L${path.join(folder, "lib")}`,
      "-ltorch_cpu",
      "-lc10",
      `-Wl,-rpath,${path.join(folder, "lib")}`,
    ],
  ]);
  if (compiled !== 0) return compiled;
  const seconds = Math.round(60 * Number(values.minutes));
  return run(target, [
    `-max_total_time=${seconds}`,
    "-rss_limit_mb=3072",
    "-timeout=10",
    `-artifact_prefix=${work}/`,
    "-print_final_stats=1",
  ]);
}

function reported() {
  const found = readdirSync(reports);
  for (const name of found) console.log(`\n${name}:\n${readFileSync(path.join(reports, name), "utf8").slice(0, 6000)}`);
  console.log(`${found.length} reports by sanitizers (${values.sanitize})`);
  return found.length;
}

async function check() {
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
  const statuses = [runTests()];
  if (positionals.length === 0) statuses.push(runFuzzer(), await runLibFuzzer());
  return reported() > 0 || statuses.some((status) => status !== 0) ? 1 : 0;
}

copyCheckout();
process.exitCode = (await compile()) || (values["build-only"] ? 0 : await check());
