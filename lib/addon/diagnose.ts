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

/** What `attention-bypass doctor` prints. */
export interface Diagnosis {
  /** Version of this package. */
  package: string;
  /** Version of Node, such as "v22.11.0". */
  node: string;
  /** Operating system and processor type, and the system's version. */
  platform: string;
  /** The C library's version; undefined where it is another than glibc. */
  glibc: string | undefined;
  /** The processor. */
  cpu: {
    /** As the system calls it. */
    model: string;
    /** Cores that this process may use. */
    cores: number;
  };
  /** Memory of the machine, to the nearest GiB. */
  memoryGiB: number;
  /** NVIDIA's driver; undefined where none is loaded. */
  nvidia:
    | {
        /** Its version. */
        driver: string;
        /** The graphics processors that it sees, by their names. */
        devices: string[];
      }
    | undefined;
  /** The libtorch that the package needs. */
  wanted: {
    /** The version that it is built and tested with. */
    version: string;
    /** The series that it has addons for, such as "2.13". */
    series: string[];
  };
  /** Every place that was looked at for a libtorch, in order. */
  attempts: LibtorchAttempt[];
  /** The libtorch that is taken; undefined where there is none. */
  libtorch: Libtorch | undefined;
  /** What the loaded libtorch says of itself; undefined where none loads. */
  runtime: NativePlatform | undefined;
  /** Why nothing can run on CUDA; undefined where something can, or where nothing loads. */
  cudaRefusal: string | undefined;
  /** What `device: "auto"` takes, and why; undefined where nothing loads. */
  auto:
    | {
        /** "cpu" or "cuda:0". */
        device: string;
        /** As `model.deviceReason` has it. */
        reason: string;
      }
    | undefined;
  /** Why nothing loads, with the code that `loadModel` throws. */
  failure:
    | {
        /** An error code. */
        code: string;
        /** A sentence, with what helps. */
        message: string;
      }
    | undefined;
}

const longestProbe = 120_000;

/** The driver says of itself what it is; NVIDIA's own tools need not be there. */
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

/** Loads everything in a child process: a libtorch that brings down its process is a finding, not the end. */
function probe(): Promise<ProbeResult> {
  const file = path.join(packageRoot, "dist", "probe.js");
  return new Promise((resolve) => {
    node.childProcess.execFile(process.execPath, [file], { timeout: longestProbe }, (error, stdout, stderr) => {
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
    auto: loaded && chooseDevice("auto", { cudaDevices: loaded.platform.cudaDevices, cudaRefusal: loaded.cudaRefusal }),
    failure: "failure" in probed ? probed.failure : undefined,
  };
}
