import { readdir, readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import binding from "#binding";
import { node } from "../files/node.js";
import { libtorchVersion, packageRoot, packageVersion } from "./addon.js";
import { chooseDevice } from "./device.js";
import { nvidiaDriver as driverVersion, findLibtorch, type Libtorch, type LibtorchAttempt } from "./libtorch.js";
import { glibcVersion } from "./load-failure.js";
import type { NativePlatform } from "./native.js";
import type { ProbeResult } from "./probe.js";

/** The result of `diagnose`, which `attention-bypass doctor` prints. */
export interface Diagnosis {
  /** The version of this package. */
  package: string;
  /** The version of Node.js, such as "v22.11.0". */
  node: string;
  /** The operating system, the processor architecture and the version of the system. */
  platform: string;
  /** The version of glibc; undefined if the system has another C library. */
  glibc: string | undefined;
  /** The processor. */
  cpu: {
    /** The name that the system reports. */
    model: string;
    /** The number of cores that this process may use. */
    cores: number;
  };
  /** The memory of the machine in GiB, rounded. */
  memoryGiB: number;
  /** The NVIDIA driver; undefined if none is loaded. */
  nvidia:
    | {
        /** The version of the driver. */
        driver: string;
        /** The names of the GPUs that the driver reports. */
        devices: string[];
      }
    | undefined;
  /** The libtorch that the package needs. */
  wanted: {
    /** The libtorch version that the package is built and tested with. */
    version: string;
    /** The libtorch series that the package has addons for, such as "2.13". */
    series: string[];
  };
  /** The places where a libtorch was searched, in order. */
  attempts: LibtorchAttempt[];
  /** The libtorch that is used; undefined if none was found. */
  libtorch: Libtorch | undefined;
  /** The properties that the loaded libtorch reports; undefined if loading failed. */
  runtime: NativePlatform | undefined;
  /** Why CUDA can't be used; undefined if it can, or if loading failed. */
  cudaRefusal: string | undefined;
  /** The device that `device: "auto"` means on this machine; undefined if loading failed. */
  auto:
    | {
        /** The device: "cpu" or "cuda:0". */
        device: string;
        /** Why this device, as in `model.deviceReason`. */
        reason: string;
      }
    | undefined;
  /** Why libtorch or the addon does not load; undefined if they load. `loadModel` throws the same code. */
  failure:
    | {
        /** The error code. */
        code: string;
        /** The error message, with what to do. */
        message: string;
      }
    | undefined;
}

const longestProbe = 120_000;

/** Reads the NVIDIA driver's version and devices from /proc, so that NVIDIA's tools are not needed. */
async function nvidiaDriver(): Promise<Diagnosis["nvidia"]> {
  const root = path.dirname(driverVersion);
  const version = await readFile(driverVersion, "utf8").catch(() => undefined);
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

/** Loads libtorch and the addon in a child process, so that a crash is reported instead of ending this process. */
function probe(): Promise<ProbeResult> {
  const file = path.join(packageRoot, "dist", "probe.js");
  return new Promise((resolve) => {
    node.childProcess.execFile(process.execPath, [file], { timeout: longestProbe }, (error, stdout, stderr) => {
      try {
        return resolve(JSON.parse(stdout) as ProbeResult);
      } catch {
        // The child process ended before it printed a result.
      }
      const last = stderr.trim().split("\n").at(-1);
      const printed = last ? ` (its last line of output: ${last})` : "";
      const end = error?.killed
        ? `took longer than ${longestProbe / 1000} s`
        : `ended its process ${error?.signal ? `by ${error.signal}` : `with exit code ${error?.code}`}`;
      const cure = "install another libtorch: `npx attention-bypass setup`";
      resolve({ failure: { code: "LIBTORCH_LOAD_FAILED", message: `loading libtorch ${end}${printed}; ${cure}` } });
    });
  });
}

/**
 * Searches and loads libtorch as `loadModel` does and returns what it found, as `attention-bypass doctor` prints it.
 * Does not throw: a failure is part of the result.
 */
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
    auto: loaded && chooseDevice("auto", { cudaDevices: loaded.platform.cudaDevices, cudaRefusal: loaded.cudaRefusal }),
    failure: "failure" in probed ? probed.failure : undefined,
  };
}
