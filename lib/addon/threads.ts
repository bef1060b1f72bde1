import { readFile } from "node:fs/promises";
import path from "node:path";

/**
 * Makes waiting OpenMP threads spin for about 1 ms before they sleep. By default libgomp spins for 300,000 iterations,
 * about 10 ms; if other processes use the same cores, the spinning takes the time of the thread that is waited for.
 * Less than 1 ms slows down an idle machine. libgomp reads the second variable, Intel's runtime the first.
 */
const waitPolicy = ["OMP_WAIT_POLICY=passive", "GOMP_SPINCOUNT=30000"];

/** The environment variables that decide how threads wait. If the user has set one, none is changed. */
const waitVariables = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY"];

/** Returns the environment variables that libtorch is opened with; empty if the user has set how threads wait. */
export function threadVariables(): readonly string[] {
  return waitVariables.some((name) => process.env[name] !== undefined) ? [] : waitPolicy;
}

async function readText(file: string): Promise<string> {
  return readFile(file, "utf8").catch(() => "");
}

/** Returns a folder and all its parents up to the root, as paths below a mount. */
function upwards(folder: string): string[] {
  const above = path.posix.dirname(folder);
  return above === folder ? [folder] : [folder, ...upwards(above)];
}

/** Returns the CPU quota of one control group, in cores; infinite if it has no limit. */
async function quotaOf(own: string): Promise<number> {
  const second = (await readText(path.join(own, "cpu.max"))).split(" ");
  const first = [
    await readText(path.join(own, "cpu.cfs_quota_us")),
    await readText(path.join(own, "cpu.cfs_period_us")),
  ];
  const quotas = [second, first].map(([quota, period]) => Number(quota || Number.NaN) / Number(period || Number.NaN));
  return Math.min(...quotas.filter((quota) => quota > 0), Number.POSITIVE_INFINITY);
}

/**
 * Returns the CPU quota of the process's control groups (versions 1 and 2), in cores; infinite if there is no limit.
 * Node.js 20 and libtorch ignore this quota.
 */
export async function cpuQuota(mount = "/sys/fs/cgroup", ownGroups = "/proc/self/cgroup"): Promise<number> {
  // A container sees its own group as the root; outside one, the group's path is in /proc, which may be missing.
  const groups = [...(await readText(ownGroups)).matchAll(/^\d+:([^:]*):(\/.*)$/gm)].flatMap(
    ([, controllers = "", group = "/"]) => {
      if (controllers === "") return upwards(group);
      if (!controllers.split(",").includes("cpu")) return [];
      return upwards(group).map((folder) => path.posix.join(controllers, folder));
    },
  );
  const folders = new Set(["/", "/cpu", "/cpu,cpuacct", ...groups]);
  return Math.min(...(await Promise.all([...folders].map((folder) => quotaOf(path.join(mount, folder))))));
}

/** Returns the default number of threads: libtorch's own, or the CPU quota rounded up if that is less. */
export async function defaultThreads(libtorchs: number): Promise<number> {
  if (process.env.OMP_NUM_THREADS ?? process.env.MKL_NUM_THREADS) return libtorchs;
  return Math.min(libtorchs, Math.max(1, Math.ceil(await cpuQuota())));
}
