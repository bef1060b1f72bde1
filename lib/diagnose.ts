import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import binding from "#binding";
import { libtorchVersion, packageRoot, packageVersion } from "./addon.js";
import { chooseDevice } from "./device.js";
import { findLibtorch, type Libtorch, type LibtorchAttempt } from "./libtorch.js";
import { glibcVersion } from "./load-failure.js";
import type { NativePlatform } from "./native.js";
import type { ProbeResult } from "./probe.js";

/** What `attention-bypass doctor` prints. */
export interface Diagnosis {
  package: string;
  node: string;
  platform: string;
  /** The C library's version; undefined where it is another than glibc. */
  glibc: string | undefined;
  cpu: { model: string; cores: number };
  memoryGiB: number;
  /** NVIDIA's driver and the graphics processors that it sees; undefined where no driver is loaded. */
  nvidia: { driver: string; devices: string[] } | undefined;
  /** The version that the package is built and tested with, and the series that it has addons for. */
  wanted: { version: string; series: string[] };
  /** Every place that was looked at for a libtorch, in order. */
  attempts: LibtorchAttempt[];
  libtorch: Libtorch | undefined;
  /** What the loaded libtorch says of itself; undefined where none loads. */
  runtime: NativePlatform | undefined;
  /** Why nothing can run on CUDA; undefined where something can, or where nothing loads. */
  cudaRefusal: string | undefined;
  /** What `device: "auto"` takes, and why; undefined where nothing loads. */
  auto: { device: string; reason: string } | undefined;
  /** Why nothing loads, with the code that `loadModel` throws. */
  failure: { code: string; message: string } | undefined;
}

const longestProbe = 120_000;

/** The driver says of itself what it is; NVIDIA's own tools need not be there. */
async function nvidiaDriver(): Promise<Diagnosis["nvidia"]> {
  const root = "/proc/driver/nvidia";
  const version = await readFile(path.join(root, "version"), "utf8").catch(() => undefined);
  if (version === undefined) return undefined;
  const folders = await readdir(path.join(root, "gpus")).catch((): string[] => []);
  const devices = await Promise.all(
    folders.map(async (name) => {
      const text = await readFile(path.join(root, "gpus", name, "information"), "utf8").catch(() => "");
      return /^Model:\s*(.+)$/m.exec(text)?.[1] ?? name;
    }),
  );
  return { driver: /\b\d+\.\d+(\.\d+)?\b/.exec(version)?.[0] ?? "unknown", devices };
}

/** Loads everything in a child process: a libtorch that brings down its process is a finding, not the end. */
function probe(): Promise<ProbeResult> {
  const file = path.join(packageRoot, "dist", "probe.js");
  return new Promise((resolve) => {
    execFile(process.execPath, [file], { timeout: longestProbe }, (error, stdout, stderr) => {
      try {
        return resolve(JSON.parse(stdout) as ProbeResult);
      } catch {
        // It ended before it could say anything.
      }
      const last = stderr.trim().split("\n").at(-1);
      const said = last ? `, and the last it said is: ${last}` : "";
      const end = error?.killed
        ? `takes longer than ${longestProbe / 1000} s`
        : `ends its process ${error?.signal ? `by ${error.signal}` : `with code ${error?.code}`}`;
      const cure = "another libtorch may help: `npx attention-bypass setup`";
      resolve({ failure: { code: "LIBTORCH_LOAD_FAILED", message: `loading libtorch ${end}${said}; ${cure}` } });
    });
  });
}

/** Looks at this machine the way that `loadModel` does, and tells what it finds. Does not throw. */
export async function diagnose(): Promise<Diagnosis> {
  const series = binding.series();
  const [{ found, attempts }, nvidia, probed] = await Promise.all([
    findLibtorch(libtorchVersion, series),
    nvidiaDriver(),
    probe(),
  ]);
  const loaded = "failure" in probed ? undefined : probed;
  return {
    package: packageVersion,
    node: process.version,
    platform: `${os.platform()}-${os.arch()}, ${os.version()}`,
    glibc: glibcVersion(),
    cpu: { model: os.cpus()[0]?.model ?? "unknown", cores: os.availableParallelism() },
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    nvidia,
    wanted: { version: libtorchVersion, series },
    attempts,
    libtorch: found,
    runtime: loaded?.platform,
    cudaRefusal: loaded?.cudaRefusal,
    auto: loaded && chooseDevice("auto", loaded.cudaRefusal),
    failure: "failure" in probed ? probed.failure : undefined,
  };
}
