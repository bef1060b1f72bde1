// Where no libtorch fits, the refusal says what was looked at, and the process goes on to use one that does.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import t, { type Test } from "tap";
import { root, runCommand, runScript } from "./support/child.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";

t.setTimeout(300_000);

const { config } = JSON.parse(await readFile(path.join(root, "package.json"), "utf8")) as {
  config: { libtorch: string };
};
const series = config.libtorch.split(".").slice(0, 2).join(".");

const lacksLibtorch = ["LIBTORCH_NOT_FOUND", config.libtorch, "libtorch_cpu.so", "npx attention-bypass setup"] as const;

interface Attempt {
  code: string;
  message: string;
  typed: boolean;
  listed: boolean;
  /** A second attempt, with the libtorch that the tests run on. */
  loads: boolean;
}

/** Loads a model in a process whose libtorch is said to be in a folder, and then without that. */
async function attempt(t: Test, folder: string): Promise<Attempt> {
  const source = `
    import { AttentionBypassError, errorCodes, loadModel } from "attention-bypass";
    const [model, libtorch] = process.argv.slice(-2);
    const before = process.env.ATTENTION_BYPASS_LIBTORCH;
    process.env.ATTENTION_BYPASS_LIBTORCH = libtorch;
    const error = await loadModel(model, { device: "cpu" }).catch((error) => error);
    if (before === undefined) delete process.env.ATTENTION_BYPASS_LIBTORCH;
    else process.env.ATTENTION_BYPASS_LIBTORCH = before;
    const loads = await loadModel(model, { device: "cpu" }).then((model) => model.logits([1])).then(() => true, () => false);
    const { code, message } = error;
    const typed = error instanceof AttentionBypassError;
    console.log(JSON.stringify({ code, message, typed, listed: errorCodes.includes(code), loads }));
  `;
  const { code, stdout, stderr } = await runScript(source, [fixture("neox-serial"), folder]);
  t.equal(code, 0, "the process lives", { stderr });
  return JSON.parse(stdout);
}

function isRefusal(t: Test, attempt: Attempt, code: string, ...said: string[]): void {
  t.match(attempt, { code, typed: true, listed: true, loads: true });
  t.notMatch(attempt.message, /\n/, "one line");
  for (const part of said) t.ok(attempt.message.includes(part), `it says ${part}`, { message: attempt.message });
}

/** A folder that looks like libtorch's. */
async function pretended(t: Test, version: string | undefined, libraries: string[]): Promise<string> {
  const folder = await temporaryFolder(t);
  if (version !== undefined) await writeFile(path.join(folder, "version.py"), `__version__ = '${version}'\n`);
  await mkdir(path.join(folder, "lib"));
  for (const name of libraries) await writeFile(path.join(folder, "lib", name), "");
  return folder;
}

t.test("a folder that does not exist", async (t) => {
  const folder = path.join(await temporaryFolder(t), "missing");
  isRefusal(t, await attempt(t, folder), ...lacksLibtorch, folder);
});

t.test("a folder without libtorch", async (t) => {
  const folder = await pretended(t, config.libtorch, []);
  isRefusal(t, await attempt(t, folder), ...lacksLibtorch, folder);
});

t.test("another version", async (t) => {
  for (const version of ["1.13.1", "2.9.0+cpu", `${series}1.0`]) {
    const folder = await pretended(t, version, ["libc10.so", "libtorch_cpu.so"]);
    isRefusal(t, await attempt(t, folder), "LIBTORCH_NOT_FOUND", folder, `version ${version}`, `built for ${series}`);
  }
});

t.test("a version that can't be told", async (t) => {
  const folder = await pretended(t, undefined, ["libc10.so", "libtorch_cpu.so"]);
  isRefusal(t, await attempt(t, folder), "LIBTORCH_NOT_FOUND", folder, "version");
});

t.test("libraries that do not load", async (t) => {
  const folder = await pretended(t, config.libtorch, ["libc10.so", "libtorch_cpu.so"]);
  isRefusal(t, await attempt(t, folder), "LIBTORCH_LOAD_FAILED", folder, "libc10.so");
  const partial = await pretended(t, config.libtorch, ["libtorch_cpu.so"]);
  isRefusal(t, await attempt(t, partial), "LIBTORCH_LOAD_FAILED", partial, "libc10.so");
});

const noRoot = process.getuid?.() === 0 ? false : "only root can become another user";

t.test("a user without an entry in the password file and without HOME", { skip: noRoot }, async (t) => {
  const { stdout } = await runScript(`
    import { AttentionBypassError, diagnose } from "attention-bypass";
    for (const name of ["HOME", "ATTENTION_BYPASS_LIBTORCH", "ATTENTION_BYPASS_CACHE", "XDG_CACHE_HOME"]) delete process.env[name];
    process.setgid(54321);
    process.setuid(54321);
    const { attempts } = await diagnose();
    console.log(JSON.stringify(attempts[0]));
  `);
  t.match(JSON.parse(stdout), { origin: "cache", refusal: /set HOME or ATTENTION_BYPASS_CACHE/ });
});

t.test("a machine without /proc", { skip: noRoot }, async (t) => {
  const script = `
    import { loadModel } from "attention-bypass";
    await loadModel(${JSON.stringify(fixture("neox-serial"))}, { device: "cpu" }).catch(({ code, message }) => console.log(code, message));
  `;
  const hidden = ["unshare", "--mount", "sh", "-c", 'umount -l /proc && exec "$@"', "sh"];
  const { code, stdout, stderr } = await runCommand([
    ...hidden,
    process.execPath,
    "--input-type=module",
    "--eval",
    script,
  ]);
  if (code !== 0 && /unshare|umount/.test(stderr)) return t.pass("namespaces are not allowed here");
  t.match(stdout, /^LIBTORCH_LOAD_FAILED expected the file \/proc\/cpuinfo, .* mount \/proc\n$/);
});

t.test("where the cache is", async (t) => {
  const place = async (variables: Record<string, string>) => {
    const { stdout } = await runScript(`
      import { diagnose } from "attention-bypass";
      for (const name of ["ATTENTION_BYPASS_LIBTORCH", "ATTENTION_BYPASS_CACHE", "XDG_CACHE_HOME"]) delete process.env[name];
      Object.assign(process.env, ${JSON.stringify({ HOME: "/home/somebody", ...variables })});
      console.log(JSON.stringify((await diagnose()).attempts[0].path));
    `);
    return JSON.parse(stdout) as string;
  };
  const inside = `libtorch-${config.libtorch}/torch`;
  t.equal(await place({}), `/home/somebody/.cache/attention-bypass/${inside}`);
  t.equal(await place({ XDG_CACHE_HOME: "/var/caches" }), `/var/caches/attention-bypass/${inside}`);
  // The specification of base directories wants an absolute path, and anything else ignored.
  for (const none of ["", "caches"]) {
    t.equal(await place({ XDG_CACHE_HOME: none }), `/home/somebody/.cache/attention-bypass/${inside}`);
  }
  t.equal(await place({ ATTENTION_BYPASS_CACHE: "/mine", XDG_CACHE_HOME: "/var/caches" }), `/mine/${inside}`);
  t.equal(await place({ ATTENTION_BYPASS_CACHE: "" }), `/home/somebody/.cache/attention-bypass/${inside}`);
});
