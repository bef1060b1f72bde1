// How OpenMP's threads wait, and how many there are: what libtorch is opened with, and what a CPU quota leaves.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { cpuQuota } from "../lib/addon/threads.ts";
import { runCommand } from "./support/child.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";

const script = `
import { execFileSync } from "node:child_process";
import { loadModel } from "attention-bypass";
import { Worker, isMainThread } from "node:worker_threads";
const model = await loadModel(${JSON.stringify(fixture("neox-serial"))}, { device: "cpu" });
await model.dispose();
const pattern = /^(OMP_WAIT_POLICY|GOMP_SPINCOUNT)=.*$/gm;
process.env.SET_AFTERWARDS = "1";
const inherited = execFileSync("env", { encoding: "utf8" });
console.log(JSON.stringify([inherited.match(pattern) ?? [], /^SET_AFTERWARDS=1$/m.test(inherited)]));
`;

/** What libgomp says that it read, and what a child process inherits afterwards. */
async function settings(own: NodeJS.ProcessEnv) {
  const { OMP_WAIT_POLICY: _, GOMP_SPINCOUNT: __, ...others } = process.env;
  const env = { ...others, OMP_DISPLAY_ENV: "verbose", ...own };
  const { code, stdout, stderr } = await runCommand([process.execPath, "--input-type=module", "--eval", script], {
    env,
  });
  if (code !== 0) throw new Error(stderr);
  const read = (name: string) => new RegExp(`${name} = '(.*)'`).exec(stderr)?.[1];
  return { policy: read("OMP_WAIT_POLICY"), spins: read("GOMP_SPINCOUNT"), after: JSON.parse(stdout) as unknown };
}

t.test("threads sleep while they wait, and child processes do not inherit it", async (t) => {
  t.same(await settings({}), { policy: "PASSIVE", spins: "30000", after: [[], true] });
});

t.test("what the user has set stays", async (t) => {
  const set = "GOMP_SPINCOUNT=77";
  t.match(await settings({ GOMP_SPINCOUNT: "77" }), { spins: "77", after: [[set], true] });
  t.match(await settings({ OMP_WAIT_POLICY: "active" }), { policy: "ACTIVE" });
});

t.test("a CPU quota", async (t) => {
  const folder = await temporaryFolder(t);
  const at = (...names: string[]) => path.join(folder, ...names);
  const write = async (name: string, text: string) => {
    await mkdir(path.dirname(at(name)), { recursive: true });
    await writeFile(at(name), text);
  };
  const quota = (mount: string, groups = "missing") => cpuQuota(at(mount), at(groups));
  t.equal(await quota("none"), Number.POSITIVE_INFINITY);
  await write("v2/cpu.max", "150000 100000\n");
  t.equal(await quota("v2"), 1.5, "of a container, without /proc");
  await write("unlimited/cpu.max", "max 100000\n");
  t.equal(await quota("unlimited"), Number.POSITIVE_INFINITY);
  await write("nested/a/cpu.max", "200000 100000\n");
  await write("nested/a/b/cpu.max", "max 100000\n");
  await write("groups", "0::/a/b\n");
  t.equal(await quota("nested", "groups"), 2, "of a group above");
  await write("v1/cpu,cpuacct/cpu.cfs_quota_us", "50000\n");
  await write("v1/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  t.equal(await quota("v1"), 0.5, "of version 1");
  await write("v1-none/cpu/cpu.cfs_quota_us", "-1\n");
  await write("v1-none/cpu/cpu.cfs_period_us", "100000\n");
  t.equal(await quota("v1-none"), Number.POSITIVE_INFINITY);
});
