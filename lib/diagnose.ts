import os from "node:os";
import binding from "#binding";
import { libtorchVersion, loadAddon, packageVersion } from "./addon.js";
import { findLibtorch, type Libtorch, type LibtorchAttempt } from "./libtorch.js";
import type { NativePlatform } from "./native.js";

/** What `attention-bypass doctor` prints. */
export interface Diagnosis {
  package: string;
  node: string;
  platform: string;
  cpu: { model: string; cores: number };
  memoryGiB: number;
  /** The version that the package is built and tested with, and the series that it has addons for. */
  wanted: { version: string; series: string[] };
  /** Every place that was looked at for a libtorch, in order. */
  attempts: LibtorchAttempt[];
  libtorch: Libtorch | undefined;
  /** What the loaded libtorch says of itself; undefined where none loads. */
  runtime: NativePlatform | undefined;
  /** Why CUDA's part of it did not load, where it has one. */
  cudaRefusal: string | undefined;
  /** Why nothing loads. */
  failure: string | undefined;
}

/** Looks at this machine the way that `loadModel` does, and tells what it finds. Does not throw. */
export async function diagnose(): Promise<Diagnosis> {
  const series = binding.series();
  const { found, attempts } = await findLibtorch(libtorchVersion, series);
  const diagnosis: Diagnosis = {
    package: packageVersion,
    node: process.version,
    platform: `${os.platform()}-${os.arch()}, ${os.version()}`,
    cpu: { model: os.cpus()[0]?.model ?? "unknown", cores: os.availableParallelism() },
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    wanted: { version: libtorchVersion, series },
    attempts,
    libtorch: found,
    runtime: undefined,
    cudaRefusal: undefined,
    failure: undefined,
  };
  try {
    const { addon, cudaRefusal } = await loadAddon();
    return { ...diagnosis, runtime: addon.platform(), cudaRefusal };
  } catch (error) {
    return { ...diagnosis, failure: (error as Error).message };
  }
}
