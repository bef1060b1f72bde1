import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { AttentionBypassError } from "../errors/errors.js";
import { node } from "../files/node.js";

/**
 * The kind of place where a libtorch was searched: the folder in ATTENTION_BYPASS_LIBTORCH, this package's cache,
 * Python's PyTorch, or the system's folders.
 */
export type LibtorchOrigin = "environment" | "cache" | "python" | "system";

/** A libtorch on this machine. */
export interface Libtorch {
  /** The kind of place where it was found. */
  origin: LibtorchOrigin;
  /** The folder that contains include/. */
  folder: string;
  /** The folder that contains the shared libraries. */
  libraries: string;
  /** The version of the build, such as "2.13.0+cpu". */
  version: string;
  /** Whether it is built with CUDA. */
  cuda: boolean;
  /** The first two parts of the version, such as "2.13". An addon works with one series. */
  series: string;
}

/** A place where a libtorch was searched. */
export interface LibtorchAttempt {
  /** The kind of place. */
  origin: LibtorchOrigin;
  /** The path of the place. */
  path: string;
  /** Why the place was not used; undefined for the one that is used. */
  refusal?: string;
}

export interface LibtorchSearch {
  found: Libtorch | undefined;
  attempts: LibtorchAttempt[];
}

/**
 * Returns the folder that `setup` downloads to: $ATTENTION_BYPASS_CACHE, or a folder in the user's cache folder. Throws
 * FILE_NOT_FOUND if the user has no home folder.
 */
export function cacheFolder(): string {
  const { ATTENTION_BYPASS_CACHE: own, XDG_CACHE_HOME: users } = process.env;
  if (own) return path.resolve(own);
  // The XDG Base Directory Specification says to ignore an empty or relative path.
  if (users && path.isAbsolute(users)) return path.join(users, "attention-bypass");
  try {
    return path.join(homedir(), ".cache", "attention-bypass");
  } catch (error) {
    // The user id has no entry in the password file, as in some containers.
    throw new AttentionBypassError(
      "FILE_NOT_FOUND",
      "expected a home folder for the cache but this user has none; set HOME or ATTENTION_BYPASS_CACHE to a folder",
      { cause: error },
    );
  }
}

/** Returns the cache folder for one version of libtorch, unpacked from PyTorch's wheel. */
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

/** Reads libtorch's version from version.py (PyTorch's package), build-version (the libtorch zip) or a header. */
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

/** Returns the libtorch in a folder, or the reason why there is none. */
export async function examineLibtorch(origin: LibtorchOrigin, folder: string): Promise<Libtorch | string> {
  const folders = ["lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"];
  for (const libraries of folders.map((name) => path.join(folder, name))) {
    if (!(await exists(path.join(libraries, "libtorch_cpu.so")))) continue;
    const version = await readVersion(folder);
    if (version === undefined) return "its version is unknown";
    const cuda = await exists(path.join(libraries, "libtorch_cuda.so"));
    return { origin, folder, libraries, version, cuda, series: version.split(".").slice(0, 2).join(".") };
  }
  return "it contains no libtorch_cpu.so";
}

/** Returns the torch folder of the first Python that has PyTorch, found without importing it. */
async function pythonTorch(): Promise<string | undefined> {
  const script = "import importlib.util as u; s = u.find_spec('torch'); print(s.origin if s else '')";
  const own = process.env.ATTENTION_BYPASS_PYTHON;
  for (const python of own ? [own] : ["python3", "python"]) {
    try {
      const { stdout } = await promisify(node.childProcess.execFile)(python, ["-c", script], { timeout: 20_000 });
      if (stdout.trim()) return path.dirname(stdout.trim());
    } catch {
      // This Python does not exist or fails: try the next one.
    }
  }
  return undefined;
}

/**
 * Returns the cache's libtorch folders in the order of preference: the tested version before others, and within a
 * version the CUDA build first, because it also runs on the CPU.
 */
async function cachedFolders(version: string): Promise<string[]> {
  const own = path.basename(cachedLibtorch(version));
  const names = await readdir(cacheFolder()).catch((): string[] => []);
  const found = names.filter((name) => /^libtorch-[\d.]+(-cuda)?$/.test(name));
  const rank = (name: string) => (name.startsWith(own) ? 0 : 2) + (name.endsWith("-cuda") ? 0 : 1);
  return [...new Set([own, ...found])].sort((a, b) => rank(a) - rank(b)).map((name) => path.join(cacheFolder(), name));
}

/** Returns the path of the cache folder, or the reason why there is none. */
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
 * Returns whether a file exists, or `unknown` if this process is not permitted to check: Deno denies access to /proc
 * unless all permissions are granted.
 */
export function fileExists(file: string, unknown: boolean): boolean {
  try {
    return existsSync(file);
  } catch {
    return unknown;
  }
}

/** The file with the NVIDIA driver's version. It exists while the driver is loaded. */
export const nvidiaDriver = "/proc/driver/nvidia/version";

/**
 * Searches a libtorch of one of the series that addons are built for. If $ATTENTION_BYPASS_LIBTORCH is set, only that
 * folder is searched; otherwise the package's cache, Python's PyTorch and the system's folders, in this order. If
 * `wantsCuda` (default: an NVIDIA driver is loaded), any build with CUDA is preferred to those without.
 */
export async function findLibtorch(
  version: string,
  series: readonly string[],
  wantsCuda = fileExists(nvidiaDriver, false),
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
    last.refusal = "it is built without CUDA, but an NVIDIA driver is loaded";
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
      "Run `npx attention-bypass setup` to install one, or set ATTENTION_BYPASS_LIBTORCH to the folder of one",
  );
}
