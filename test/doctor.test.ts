// What is told of a machine that can't run models: the loader's complaints explained, and a libtorch that brings down
// its process seen from outside.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import t, { type Test } from "tap";
import { libtorchVersion } from "../lib/addon/addon.ts";
import { chooseDevice } from "../lib/addon/device.ts";
import { explainLoadFailure, glibcVersion } from "../lib/addon/load-failure.ts";
import { AttentionBypassError } from "../lib/errors/errors.ts";
import { root, runScript } from "./support/child.ts";
import { temporaryFolder } from "./support/fixtures.ts";

t.setTimeout(300_000);
const run = promisify(execFile);
const compiler = ["/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"].find(existsSync);
const noCompiler = compiler === undefined && process.env.CI !== "true" ? "no C compiler" : false;

/** A libtorch of the right version whose libc10.so is compiled of a few lines. */
async function standIn(t: Test, source: string, ...flags: string[]): Promise<string> {
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, "lib"));
  await writeFile(path.join(folder, "version.py"), `__version__ = '${libtorchVersion}'\n`);
  await writeFile(path.join(folder, "lib", "libtorch_cpu.so"), "");
  await writeFile(path.join(folder, "stand-in.c"), source);
  const library = path.join(folder, "lib", "libc10.so");
  await run(compiler as string, ["-shared", "-fPIC", "-o", library, path.join(folder, "stand-in.c"), ...flags]);
  return folder;
}

/** What doctor says of a libtorch, and with which exit code. */
async function doctor(libtorch: string): Promise<{ code: number; failure: { code: string; message: string } }> {
  const environment = { ...process.env, ATTENTION_BYPASS_LIBTORCH: libtorch };
  const args = [path.join(root, "dist", "cli.js"), "doctor", "--json"];
  return run(process.execPath, args, { env: environment }).then(
    () => ({ code: 0, failure: { code: "", message: "" } }),
    (error) => ({ code: error.code, failure: JSON.parse(error.stdout).failure }),
  );
}

t.test("a libtorch that brings down its process", { skip: noCompiler }, async (t) => {
  const crashing = await standIn(t, "__attribute__((constructor)) static void fail(void) { *(volatile int*)0 = 1; }");
  const found = await doctor(crashing);
  t.equal(found.code, 4);
  t.equal(found.failure.code, "LIBTORCH_LOAD_FAILED");
  t.match(found.failure.message, /ended its process by SIGSEGV.*attention-bypass setup/);

  const leaving = await standIn(
    t,
    '#include <stdio.h>\n#include <unistd.h>\n__attribute__((constructor)) static void fail(void) { fputs("no licence\\n", stderr); _exit(3); }',
  );
  t.match(
    (await doctor(leaving)).failure.message,
    /ended its process with exit code 3 \(its last line of output: no licence/,
  );

  const { stdout } = await runScript(`
    import { diagnose } from "attention-bypass";
    process.env.ATTENTION_BYPASS_LIBTORCH = ${JSON.stringify(crashing)};
    console.log((await diagnose()).failure.code);
  `);
  t.equal(stdout.trim(), "LIBTORCH_LOAD_FAILED", "who asks lives on");
});

t.test("what the loader complains of", { skip: noCompiler }, async (t) => {
  const symbol = await standIn(t, "extern int other_build(void);\nint here(void) { return other_build(); }");
  t.match(await doctor(symbol), {
    code: 4,
    failure: { code: "LIBTORCH_LOAD_FAILED", message: /undefined symbol: other_build.*libraries of different builds/ },
  });

  const folder = await temporaryFolder(t);
  await writeFile(path.join(folder, "empty.c"), "");
  const missing = path.join(folder, "libcudart.so.12");
  await run(compiler as string, ["-shared", "-o", missing, path.join(folder, "empty.c")]);
  // The library is known by its name alone, and in no folder that is looked at.
  const needing = await standIn(t, "", "-Wl,--no-as-needed", `-L${folder}`, "-l:libcudart.so.12");
  t.match((await doctor(needing)).failure.message, /NVIDIA's library libcudart\.so\.12 is missing.*--device cuda/);
});

t.test("complaints that this machine can't be brought to", async (t) => {
  t.match(
    explainLoadFailure(new Error("/lib/libc.so.6: version `GLIBC_2.99' not found (required by /x/addon.node)")),
    new RegExp(`it needs GLIBC 2\\.99 but this system has glibc ${glibcVersion()}`),
  );
  t.match(explainLoadFailure("libstdc++.so.6: version `GLIBCXX_3.4.99' not found"), "libstdc++ with GLIBCXX_3.4.99");
  t.match(explainLoadFailure("libcuda.so.1: cannot open shared object file: No such file"), "NVIDIA's driver");
  t.match(explainLoadFailure("libgomp.so.1: cannot open shared object file: No such file"), "libgomp.so.1 is missing");
  t.match(explainLoadFailure("/x/libc10.so: file too short"), "damaged");
  t.equal(explainLoadFailure("something else\nwith more"), "something else", "and else its own words");
});

t.test("the choice of device", async (t) => {
  const none = "this libtorch is built without CUDA";
  const two = { cudaDevices: 2, cudaRefusal: undefined };
  const refused = { cudaDevices: 0, cudaRefusal: none };
  t.same(chooseDevice("auto", two), { device: "cuda:0", reason: "the first CUDA device" });
  t.same(chooseDevice("auto", refused), { device: "cpu", reason: `no CUDA device can be used: ${none}` });
  for (const cuda of [two, refused]) t.match(chooseDevice("cpu", cuda), { device: "cpu" });
  t.match(chooseDevice("cuda", two), { device: "cuda:0" });
  t.match(chooseDevice("cuda:1", two), { device: "cuda:1" });
  for (const device of ["cuda", "cuda:0", "cuda:3"]) {
    t.throws(
      () => chooseDevice(device, refused),
      new AttentionBypassError("DEVICE_UNAVAILABLE", `expected CUDA for device "${device}" but ${none}`),
    );
  }
  // libtorch's own numbers of devices have eight bits.
  for (const device of ["cuda:2", "cuda:128", "cuda:255", "cuda:256"]) {
    t.throws(
      () => chooseDevice(device, two),
      new AttentionBypassError(
        "DEVICE_UNAVAILABLE",
        `expected a CUDA device from "cuda:0" to "cuda:1" but received "${device}"`,
      ),
    );
  }
});
