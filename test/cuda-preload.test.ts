// How CUDA's part of libtorch is opened, with stand-ins for it: when, and what becomes of one that does not load.
import { execFile, spawnSync } from "node:child_process";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { diagnose } from "attention-bypass";
import t, { type Test } from "tap";
import { root, runScript } from "./support/child.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";

t.setTimeout(300_000);
const run = promisify(execFile);

const compiler = spawnSync("cc", ["--version"]).status === 0;
if (!compiler && process.env.CI === "true") throw new Error("expected a C compiler on CI");
const { libtorch } = await diagnose();
if (libtorch === undefined) throw new Error("expected a libtorch");
const options = { skip: !compiler && "there is no C compiler" };

/** Writes down, when it is opened, what the process has opened before. */
const standIn = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((constructor)) static void opened(void) {
  const char *file = getenv("OPENED_BEFORE_CUDA");
  if (file == NULL) return;
  FILE *maps = fopen("/proc/self/maps", "r");
  FILE *out = fopen(file, "w");
  char line[8192];
  while (fgets(line, sizeof line, maps) != NULL) {
    const char *path = strchr(line, '/');
    if (path != NULL) fputs(path, out);
  }
  fclose(out);
  fclose(maps);
}
`;

async function compile(folder: string, name: string, source: string, ...flags: string[]): Promise<string> {
  const [text, library] = [path.join(folder, `${name}.c`), path.join(folder, name)];
  await writeFile(text, source);
  await run("cc", ["-shared", "-fPIC", "-o", library, text, ...flags]);
  return library;
}

/** A folder with links to all of the libtorch that the tests run on, but for its CUDA's part, where it has one. */
async function copyOfLibtorch(t: Test): Promise<{ folder: string; libraries: string }> {
  const { folder: real, libraries: realLibraries } = libtorch as NonNullable<typeof libtorch>;
  const folder = await temporaryFolder(t);
  const libraries = path.join(folder, "lib");
  await mkdir(libraries);
  const link = async (from: string, to: string, left: readonly string[]) => {
    for (const name of await readdir(from)) {
      if (!left.includes(name)) await symlink(path.join(from, name), path.join(to, name));
    }
  };
  await link(real, folder, ["lib"]);
  await link(realLibraries, libraries, ["libtorch_cuda.so"]);
  return { folder, libraries };
}

interface Loaded {
  device?: string;
  code?: string;
  message?: string;
  logits?: number;
}

/** Loads a model on each device in turn, in a process of its own. */
async function load(t: Test, folder: string, devices: string[], opened = ""): Promise<Loaded[]> {
  const source = `
    import { loadModel } from "attention-bypass";
    const [model, libtorch, opened, ...devices] = process.argv.slice(${-3 - devices.length});
    process.env.ATTENTION_BYPASS_LIBTORCH = libtorch;
    if (opened !== "") process.env.OPENED_BEFORE_CUDA = opened;
    const results = [];
    for (const device of devices) {
      try {
        const loaded = await loadModel(model, { device });
        const { data } = await loaded.logits([1, 2, 3]);
        results.push({ device: loaded.device, logits: data.filter(Number.isFinite).length });
        await loaded.dispose();
      } catch ({ code, message }) {
        results.push({ code, message });
      }
    }
    console.log(JSON.stringify(results));
  `;
  const { code, stdout, stderr } = await runScript(source, [fixture("neox-serial"), folder, opened, ...devices]);
  t.equal(code, 0, "the process lives", { stderr });
  return JSON.parse(stdout);
}

/** The logits of three tokens of the committed models' vocabulary. */
const works = { device: "cpu", logits: 3 * 67 };

t.test("CUDA's part is opened after libtorch's for the CPU, and before the addon", options, async (t) => {
  const { folder, libraries } = await copyOfLibtorch(t);
  await compile(libraries, "libtorch_cuda.so", standIn);
  const opened = path.join(folder, "opened.txt");
  const results = await load(t, folder, ["auto"], opened);
  t.same(results, [works], "the CPU does its work");
  const before = await readFile(opened, "utf8");
  t.match(before, /libtorch_cpu\.so/);
  t.notMatch(before, /attention-bypass\.node/);
});

t.test("a CUDA's part that lacks a library", options, async (t) => {
  const { folder, libraries } = await copyOfLibtorch(t);
  // As CUDA's runtime, of a version that no machine has.
  const name = "libcudart.so.0";
  const needed = await compile(libraries, name, "int needed;\n", `-Wl,-soname,${name}`);
  await compile(libraries, "libtorch_cuda.so", standIn, "-Wl,--no-as-needed", needed);
  await rm(needed);

  const [automatic, processor, ...refused] = await load(t, folder, ["auto", "cpu", "cuda", "cuda:0"]);
  t.same(automatic, works, "auto goes to the CPU");
  t.same(processor, works);
  for (const refusal of refused) {
    t.equal(refusal.code, "DEVICE_UNAVAILABLE");
    t.match(refusal.message, name, "it names the library");
    t.notMatch(refusal.message, /\n/, "one line");
  }

  const doctor = async (...args: string[]) => {
    const environment = { ...process.env, ATTENTION_BYPASS_LIBTORCH: folder };
    // It rejects where the exit code is not 0.
    const { stdout } = await run(process.execPath, [path.join(root, "dist", "cli.js"), "doctor", ...args], {
      env: environment,
    });
    return stdout;
  };
  t.match(await doctor(), name, "doctor names it");
  t.match(await doctor("--json"), name, "doctor names it in JSON");
});
