import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { AttentionBypassError } from "../errors/errors.js";
import { node } from "../files/node.js";

/** Where a libtorch was looked for: ATTENTION_BYPASS_LIBTORCH, this package's cache, Python's PyTorch, or the system. */
export type LibtorchOrigin = "environment" | "cache" | "python" | "system";

/** A libtorch on this machine. */
export interface Libtorch {
  /** Where it was found. */
  origin: LibtorchOrigin;
  /** The folder with include/. */
  folder: string;
  /** The folder of the shared libraries. */
  libraries: string;
  /** As the build says, such as "2.13.0+cpu". */
  version: string;
  /** Whether it is built with CUDA. */
  cuda: boolean;
  /** "2.13": the part of the version that an addon is bound to. */
  series: string;
}

/** One place that was looked at. */
export interface LibtorchAttempt {
  /** What kind of place it is. */
  origin: LibtorchOrigin;
  /** The place. */
  path: string;
  /** Why it was not taken; undefined for the one that was. */
  refusal?: string;
}

export interface LibtorchSearch {
  found: Libtorch | undefined;
  attempts: LibtorchAttempt[];
}

/**
 * The folder that `setup` downloads to: $ATTENTION_BYPASS_CACHE, or a folder in the user's cache folder. Throws
 * FILE_NOT_FOUND if the user has none.
 */
export function cacheFolder(): string {
  const { ATTENTION_BYPASS_CACHE: own, XDG_CACHE_HOME: users } = process.env;
  if (own) return path.resolve(own);
  // By the specification of base directories a path that is empty or relative counts as none.
  if (users && path.isAbsolute(users)) return path.join(users, "attention-bypass");
  try {
    return path.join(homedir(), ".cache", "attention-bypass");
  } catch (error) {
    // A user id without an entry in the password file, as containers have it.
    throw new AttentionBypassError(
      "FILE_NOT_FOUND",
      "expected a home folder for the cache but this user has none; set HOME or ATTENTION_BYPASS_CACHE to a folder",
      { cause: error },
    );
  }
}

/** The folder in the cache for one version of libtorch, unpacked from PyTorch's wheel. */
export function cachedLibtorch(version: string): string {
  return path.join(cacheFolder(), `libtorch-${version}`);
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch {
    return "";
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** libtorch says its version in one of three ways: Python's package, the zip of libtorch alone, the headers. */
async function readVersion(folder: string): Promise<string | undefined> {
  const ofPackage = /__version__ = '([^']+)'/.exec(await readText(path.join(folder, "version.py")));
  if (ofPackage) return ofPackage[1];
  const ofZip = (await readText(path.join(folder, "build-version"))).trim();
  if (ofZip) return ofZip;
  for (const header of ["include/torch/headeronly/version.h", "include/torch/csrc/api/include/torch/version.h"]) {
    const ofHeader = /#define TORCH_VERSION "([^"]+)"/.exec(await readText(path.join(folder, header)));
    if (ofHeader) return ofHeader[1];
  }
  return undefined;
}

/** The libtorch in a folder, or why there is none. */
export async function examineLibtorch(origin: LibtorchOrigin, folder: string): Promise<Libtorch | string> {
  const folders = ["lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"];
  for (const libraries of folders.map((name) => path.join(folder, name))) {
    if (!(await exists(path.join(libraries, "libtorch_cpu.so")))) continue;
    const version = await readVersion(folder);
    if (version === undefined) return "its version can't be told";
    const cuda = await exists(path.join(libraries, "libtorch_cuda.so"));
    return { origin, folder, libraries, version, cuda, series: version.split(".").slice(0, 2).join(".") };
  }
  return "there is no libtorch_cpu.so in it";
}

/** The torch folder of the Python at hand, found without importing it. */
async function pythonTorch(): Promise<string | undefined> {
  const script = "import importlib.util as u; s = u.find_spec('torch'); print(s.origin if s else '')";
  const own = process.env.ATTENTION_BYPASS_PYTHON;
  for (const python of own ? [own] : ["python3", "python"]) {
    try {
      const { stdout } = await promisify(node.childProcess.execFile)(python, ["-c", script], { timeout: 20_000 });
      if (stdout.trim()) return path.dirname(stdout.trim());
    } catch {
      // No such Python; the next one may be there.
    }
  }
  return undefined;
}

/** The tested version before others, and of each CUDA's first, which runs on the CPU as well. */
async function cachedFolders(version: string): Promise<string[]> {
  const own = path.basename(cachedLibtorch(version));
  const names = await readdir(cacheFolder()).catch((): string[] => []);
  const found = names.filter((name) => /^libtorch-[\d.]+(-cuda)?$/.test(name));
  const rank = (name: string) => (name.startsWith(own) ? 0 : 2) + (name.endsWith("-cuda") ? 0 : 1);
  return [...new Set([own, ...found])].sort((a, b) => rank(a) - rank(b)).map((name) => path.join(cacheFolder(), name));
}

/** The cache folder's path, or why there is none. */
function lookForCache(): { folder?: string; refusal?: string } {
  try {
    return { folder: cacheFolder() };
  } catch (error) {
    return { refusal: (error as Error).message };
  }
}

async function* candidates(version: string): AsyncGenerator<[LibtorchOrigin, string]> {
  if (lookForCache().folder !== undefined) {
    for (const folder of await cachedFolders(version)) yield ["cache", path.join(folder, "torch")];
  }
  const python = await pythonTorch();
  if (python !== undefined) yield ["python", python];
  yield ["system", "/usr/local"];
  yield ["system", "/usr"];
}

/**
 * Whether a file is there, or `unknown` if the host does not let this process look: Deno refuses all of /proc unless every
 * permission is given.
 */
export function isThere(file: string, unknown: boolean): boolean {
  try {
    return existsSync(file);
  } catch {
    return unknown;
  }
}

/** Where NVIDIA's driver says which it is, as long as it is loaded. */
export const nvidiaDriver = "/proc/driver/nvidia/version";

/**
 * Looks for a libtorch of one of the series that addons are built for: $ATTENTION_BYPASS_LIBTORCH alone where it is
 * set, then the package's cache, the PyTorch of the Python at hand, and a system package. One with CUDA goes before all
 * without where it is wanted, which it is where an NVIDIA driver is loaded.
 */
export async function findLibtorch(
  version: string,
  series: readonly string[],
  wantsCuda = isThere(nvidiaDriver, false),
): Promise<LibtorchSearch> {
  const attempts: LibtorchAttempt[] = [];
  const attempt = async (origin: LibtorchOrigin, folder: string): Promise<Libtorch | undefined> => {
    const result = await examineLibtorch(origin, folder);
    const refusal =
      typeof result === "string"
        ? result
        : series.includes(result.series)
          ? undefined
          : `it is version ${result.version}, and the addon is built for ${series.join(", ")}`;
    attempts.push(refusal === undefined ? { origin, path: folder } : { origin, path: folder, refusal });
    return refusal === undefined ? (result as Libtorch) : undefined;
  };
  const chosen = process.env.ATTENTION_BYPASS_LIBTORCH;
  if (chosen) return { found: await attempt("environment", chosen), attempts };
  const { refusal } = lookForCache();
  if (refusal !== undefined) attempts.push({ origin: "cache", path: "~/.cache/attention-bypass", refusal });
  const withoutCuda: { found: Libtorch; attempt: LibtorchAttempt }[] = [];
  for await (const [origin, folder] of candidates(version)) {
    const found = await attempt(origin, folder);
    if (found && (found.cuda || !wantsCuda)) return { found, attempts };
    if (!found) continue;
    const last = attempts.at(-1) as LibtorchAttempt;
    last.refusal = "it is built without CUDA, and an NVIDIA driver is here";
    withoutCuda.push({ found, attempt: last });
  }
  const [next] = withoutCuda;
  if (next) delete next.attempt.refusal;
  return { found: next?.found, attempts };
}

export function libtorchNotFound(version: string, attempts: readonly LibtorchAttempt[]): AttentionBypassError {
  const looked = attempts.map(({ origin, path: place, refusal }) => `${origin} ${place}: ${refusal}`).join("; ");
  return new AttentionBypassError(
    "LIBTORCH_NOT_FOUND",
    `expected a libtorch ${version} on this machine but found none (${looked}). ` +
      "Run `npx attention-bypass setup` to bring it, or set ATTENTION_BYPASS_LIBTORCH to the folder of one",
  );
}
