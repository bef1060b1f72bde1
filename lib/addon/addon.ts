import { readFileSync } from "node:fs";
import path from "node:path";
import binding from "#binding";
import { AttentionBypassError } from "../errors/errors.js";
import { findLibtorch, isThere, type Libtorch, libtorchNotFound, nvidiaDriver } from "./libtorch.js";
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
    // Another file or none, of which the same is true.
  }
  throw new AttentionBypassError(
    "ADDON_NOT_FOUND",
    `expected the files of attention-bypass in ${packageRoot} but found no package.json of it there; if a bundler put its code ` +
      "elsewhere, mark attention-bypass as external, or set ATTENTION_BYPASS_ROOT to the folder that it is installed in " +
      "(docs/hosts.md)",
  );
}

const packageFile = readPackageFile();

export const packageVersion = packageFile.version;

/** The version of libtorch that the package is built and tested with. */
export const libtorchVersion = packageFile.config.libtorch;

/** The addon at work, with the libtorch under it. */
export interface LoadedAddon {
  addon: Addon;
  libtorch: Libtorch;
  platform: NativePlatform;
  /** Why nothing can run on CUDA; undefined where something can. */
  cudaRefusal: string | undefined;
}

/** Without it libtorch opens and then fails at work, and says no more than that. */
const processors = "/proc/cpuinfo";

let loaded: Promise<LoadedAddon> | undefined;

/** Why there is no CUDA device, in libtorch's words, and what of the machine may be at fault. */
function noDevice(refusal: string, { cuda }: Libtorch): string {
  const visible = process.env.CUDA_VISIBLE_DEVICES;
  if (cuda) return visible === undefined ? refusal : `${refusal} (CUDA_VISIBLE_DEVICES is "${visible}")`;
  if (!isThere(nvidiaDriver, false)) return refusal;
  return `${refusal} (an NVIDIA driver is here; \`npx attention-bypass setup --device cuda\` brings a build that uses it)`;
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
 * The libraries are opened by absolute path before the addon that needs them, so that neither LD_LIBRARY_PATH nor
 * another libtorch in the system's folders decides which one it gets.
 */
async function open(libtorch: Libtorch): Promise<LoadedAddon> {
  if (!isThere(processors, true)) {
    throw new AttentionBypassError(
      "LIBTORCH_LOAD_FAILED",
      `expected ${processors}, from which libtorch learns what the processor can do, but it is not there; mount /proc`,
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
      cudaRefusal = `its part for CUDA does not load: ${explainLoadFailure(error)}`;
    }
  }
  const addon = loadNative(`the addon for libtorch ${libtorch.series}`, () => binding.loadAddon(libtorch.series));
  // process.exit() does not wait for threads, and takes the ground from under them.
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

/** Finds and loads libtorch and the addon, the first time that somebody asks. */
export function loadAddon(): Promise<LoadedAddon> {
  loaded ??= load().catch((error: unknown) => {
    // What was missing may be there when the next call asks.
    loaded = undefined;
    throw error;
  });
  return loaded;
}
