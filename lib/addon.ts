import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import binding from "#binding";
import { AttentionBypassError } from "./errors.js";
import { findLibtorch, type Libtorch, libtorchNotFound } from "./libtorch.js";
import type { Addon } from "./native.js";

interface PackageFile {
  version: string;
  config: { libtorch: string };
}

export const packageRoot = binding.root;

const packageFile: PackageFile = JSON.parse(readFileSync(path.join(packageRoot, "package.json"), "utf8"));

export const packageVersion = packageFile.version;

/** The version of libtorch that the package is built and tested with. */
export const libtorchVersion = packageFile.config.libtorch;

/** The addon at work, with the libtorch under it. */
export interface LoadedAddon {
  addon: Addon;
  libtorch: Libtorch;
  /** Why CUDA's part of that libtorch did not load, where it has one. */
  cudaRefusal: string | undefined;
}

let loaded: Promise<LoadedAddon> | undefined;

function message(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0] ?? "";
}

/**
 * The libraries are opened by absolute path before the addon that needs them, so that neither LD_LIBRARY_PATH nor
 * another libtorch in the system's folders decides which one it gets.
 */
async function open(libtorch: Libtorch): Promise<LoadedAddon> {
  const preload = binding.loadPreload();
  const library = (name: string) => path.join(libtorch.libraries, name);
  let cudaRefusal: string | undefined;
  try {
    await preload.open(library("libc10.so"));
    await preload.open(library("libtorch_cpu.so"));
  } catch (error) {
    throw new AttentionBypassError(
      "LIBTORCH_LOAD_FAILED",
      `libtorch in ${libtorch.folder} does not load: ${message(error)}`,
      {
        cause: error,
      },
    );
  }
  if (existsSync(library("libtorch_cuda.so"))) {
    try {
      await preload.open(library("libtorch_cuda.so"));
    } catch (error) {
      cudaRefusal = message(error);
    }
  }
  const addon = binding.loadAddon(libtorch.series);
  // process.exit() does not wait for threads, and takes the ground from under them.
  process.once("exit", () => addon.endAll());
  return { addon, libtorch, cudaRefusal };
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
