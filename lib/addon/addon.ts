import { readFileSync } from "node:fs";
import path from "node:path";
import binding from "#binding";
import { AttentionBypassError } from "../errors/errors.js";
import { fileExists, findLibtorch, type Libtorch, libtorchNotFound, nvidiaDriver } from "./libtorch.js";
import { explainLoadFailure, glibcVersion, loadFailure } from "./load-failure.js";
import type { Addon, NativePlatform } from "./native.js";
import { defaultThreads, threadVariables } from "./threads.js";

interface PackageFile {
  version: string;
  config: { libtorch: string };
}

export const packageRoot = binding.root;

/** Throws ADDON_NOT_FOUND if the package's folder is not where its code is, as in a bundle. */
function readPackageFile(): PackageFile {
  const file = path.join(packageRoot, "package.json");
  try {
    const content = JSON.parse(readFileSync(file, "utf8")) as Partial<PackageFile>;
    if (content.version !== undefined && content.config?.libtorch !== undefined) return content as PackageFile;
  } catch {
    // The file is missing or has other content; both are reported below.
  }
  throw new AttentionBypassError(
    "ADDON_NOT_FOUND",
    `expected the package.json of attention-bypass in ${packageRoot} but found none; if a bundler moved the package's code, ` +
      "mark attention-bypass as external, or set ATTENTION_BYPASS_ROOT to the folder of the installed package " +
      "(docs/hosts.md)",
  );
}

const packageFile = readPackageFile();

export const packageVersion = packageFile.version;

/** The libtorch version that the package is built and tested with. */
export const libtorchVersion = packageFile.config.libtorch;

/** The loaded addon and the libtorch that it uses. */
export interface LoadedAddon {
  addon: Addon;
  libtorch: Libtorch;
  platform: NativePlatform;
  /** Why CUDA can't be used; undefined if it can. */
  cudaRefusal: string | undefined;
}

/** libtorch loads without this file, but then fails during computations, without naming the cause. */
const processors = "/proc/cpuinfo";

let loaded: Promise<LoadedAddon> | undefined;

/** Returns why there is no CUDA device: libtorch's message, and a likely cause on this machine. */
function noDevice(refusal: string, { cuda }: Libtorch): string {
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  if (cuda) return visible === undefined ? refusal : `${refusal} (CUDA_VISIBLE_DEVICES is "${visible}")`;
  if (!fileExists(nvidiaDriver, false)) return refusal;
  return `${refusal} (an NVIDIA driver is loaded; to use it, run \`npx attention-bypass setup --device cuda\`)`;
}

function loadNative<Loaded>(what: string, load: () => Loaded): Loaded {
  try {
    return load();
  } catch (error) {
    if (!/No native build was found/.test(String(error))) throw loadFailure("ADDON_LOAD_FAILED", what, error);
    const library = glibcVersion() === undefined ? ", whose C library is not glibc," : "";
    throw new AttentionBypassError(
      "ADDON_NOT_FOUND",
      `expected ${what} for this ${process.platform}-${process.arch} machine${library} in ${path.join(binding.root, "native")} ` +
        "but found none; build it in a clone with `npm run setup`",
      { cause: error },
    );
  }
}

/**
 * Opens libtorch and the addon. The libraries are opened by absolute path before the addon, so that LD_LIBRARY_PATH or
 * another libtorch in the system's folders can't replace them.
 */
async function open(libtorch: Libtorch): Promise<LoadedAddon> {
  if (!fileExists(processors, true)) {
    throw new AttentionBypassError(
      "LIBTORCH_LOAD_FAILED",
      `expected the file ${processors}, which libtorch reads to detect the processor, but it does not exist; mount /proc`,
    );
  }
  const preload = loadNative("the addon that opens libtorch", binding.loadPreload);
  const library = (name: string) => path.join(libtorch.libraries, name);
  let cudaRefusal: string | undefined;
  try {
    await preload.open(library("libc10.so"), []);
    await preload.open(library("libtorch_cpu.so"), threadVariables());
  } catch (error) {
    throw loadFailure("LIBTORCH_LOAD_FAILED", `libtorch in ${libtorch.folder}`, error);
  }
  if (libtorch.cuda) {
    try {
      await preload.open(library("libtorch_cuda.so"), []);
    } catch (error) {
      cudaRefusal = `libtorch's CUDA library does not load: ${explainLoadFailure(error)}`;
    }
  }
  const addon = loadNative(`the addon for libtorch ${libtorch.series}`, () => binding.loadAddon(libtorch.series));
  // process.exit() does not wait for threads, and would destroy data that they still use.
  process.once("exit", () => addon.endAll());
  const itself = await addon.platform();
  const platform = { ...itself, threads: await defaultThreads(itself.threads) };
  if (platform.cudaDevices === 0) cudaRefusal ??= noDevice(platform.cudaRefusal.replace(/\s+/g, " "), libtorch);
  return { addon, libtorch, platform, cudaRefusal };
}

async function load(): Promise<LoadedAddon> {
  const series = binding.series();
  if (series.length === 0) {
    throw new AttentionBypassError(
      "ADDON_NOT_FOUND",
      `expected the native addon in ${path.join(binding.root, "native")} but found none; build it with \`npm run setup\` there`,
    );
  }
  const { found, attempts } = await findLibtorch(libtorchVersion, series);
  if (!found) throw libtorchNotFound(libtorchVersion, attempts);
  return open(found);
}

/** Finds and loads libtorch and the addon. Later calls return the same promise, unless loading failed. */
export function loadAddon(): Promise<LoadedAddon> {
  loaded ??= load().catch((error: unknown) => {
    // Clear the failure, so that the next call tries again.
    loaded = undefined;
    throw error;
  });
  return loaded;
}
