import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { cachedLibtorch, cacheFolder, examineLibtorch, type Libtorch } from "../addon/libtorch.js";
import { requireSpace, writing } from "../download/disk.js";
import { sha256Of } from "../download/hash.js";
import { lock } from "../download/lock.js";
import { downloadVerified } from "../download/verified-download.js";
import { AttentionBypassError } from "../errors/errors.js";
import { invalidArgument } from "../errors/validation.js";
import { makeFolder } from "../files/make-folder.js";
import { type OperationOptions, part } from "../operation/operation.js";
import { fileName, pinnedAs, pinnedFiles } from "./pins.js";
import { unpack } from "./unpack.js";

export type SetupDevice = "cpu" | "cuda";

export interface SetupOptions extends OperationOptions {
  version: string;
  device: SetupDevice;
  /** "pip", an http(s) URL or path of a wheel or zip, or the path of a libtorch folder. */
  from: string | undefined;
  /** The checksum of the file `from`. Required for a URL of a file that is not in `pinnedFiles`. */
  sha256: string | undefined;
  /** Called if another process is setting up the same libtorch, before this one waits for it. */
  onWait: () => void;
}

/** The source of a libtorch. */
export type Source =
  | { kind: "pip" }
  | { kind: "url"; url: string; sha256: string; bytes?: number }
  | { kind: "file"; file: string; sha256?: string }
  | { kind: "folder"; folder: string };

const python = () => process.env.ATTENTION_BYPASS_PYTHON ?? "python3";

const isUrl = (text: string) => /^https?:\/\//.test(text);

async function localSource(from: string, sha256: string | undefined): Promise<Source> {
  const found = await stat(from).catch(() => undefined);
  if (found === undefined) {
    throw new AttentionBypassError(
      "FILE_NOT_FOUND",
      `expected "pip", a URL, or the path of a wheel, zip or folder for --from but ${from} does not exist`,
    );
  }
  if (found.isDirectory()) return { kind: "folder", folder: from };
  const checksum = sha256 ?? pinnedAs(path.basename(from))?.sha256;
  return { kind: "file", file: from, ...(checksum !== undefined && { sha256: checksum }) };
}

/** Returns the source of the libtorch to set up. Throws INVALID_ARGUMENT, FILE_NOT_FOUND. */
export async function chooseSource({ version, device, from, sha256 }: SetupOptions): Promise<Source> {
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw invalidArgument("--version", "a version such as 2.13.0", version);
  }
  if (from === "pip") return { kind: "pip" };
  if (from === undefined) {
    const platform = `${process.platform}-${process.arch}`;
    const file = pinnedFiles.find(
      (one) => one.version === version && one.device === device && one.platform === platform,
    );
    return file ? { kind: "url", ...file } : { kind: "pip" };
  }
  if (!isUrl(from)) return localSource(from, sha256);
  const known = pinnedAs(fileName(from));
  const checksum = sha256 ?? known?.sha256;
  if (checksum === undefined) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected --sha256 with the URL of a file that this package does not know but received only ${from}`,
    );
  }
  return { kind: "url", url: from, sha256: checksum, ...(known && { bytes: known.bytes }) };
}

/** Runs pip. Returns its last line of errors, or undefined if it succeeded. */
async function pip(args: readonly string[], signal: AbortSignal | undefined): Promise<string | undefined> {
  const child = spawn(python(), ["-m", "pip", ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    ...(signal && { signal }),
  });
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(-2000);
  });
  const failure = await new Promise<string | undefined>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code) =>
      resolve(code === 0 ? undefined : output.trim().split("\n").at(-1) || `it exited with code ${code}`),
    );
  });
  signal?.throwIfAborted();
  return failure;
}

/** The index of PyTorch's builds without CUDA. PyPI has only those with CUDA, which need NVIDIA's libraries to load. */
const cpuIndex = "https://download.pytorch.org/whl/cpu";

/**
 * Installs PyTorch with pip into a folder: for CUDA, the build on the user's index with its dependencies, which contain
 * NVIDIA's libraries; for the CPU, the build without CUDA, which needs no other package, from the user's index or else
 * from PyTorch's.
 */
async function installWithPip(folder: string, { version, device, signal }: SetupOptions): Promise<void> {
  const install = ["install", "--no-compile", "--quiet", "--target", folder];
  const attempts =
    device === "cuda"
      ? [[`torch==${version}`]]
      : [[], ["--index-url", cpuIndex]].map((index) => ["--no-deps", ...index, `torch==${version}+cpu`]);
  let failure: string | undefined;
  for (const attempt of attempts) {
    failure = await pip([...install, ...attempt], signal);
    if (failure === undefined) return;
  }
  throw new AttentionBypassError(
    "DOWNLOAD_FAILED",
    `expected \`${python()} -m pip install ${attempts.at(-1)?.join(" ")}\` to succeed but ${failure}` +
      (device === "cpu" ? `; set PIP_INDEX_URL to a mirror of ${cpuIndex}, or add --device cuda` : ""),
  );
}

/** Copies, unpacks, downloads or installs a libtorch into `folder`. */
async function obtain(source: Source, folder: string, options: SetupOptions): Promise<void> {
  if (source.kind === "pip") return installWithPip(folder, options);
  if (source.kind === "folder") {
    const copied = path.join(folder, "torch");
    return writing(copied, () => cp(source.folder, copied, { recursive: true, dereference: true }));
  }
  if (source.kind === "file") {
    const found = source.sha256 === undefined ? undefined : await sha256Of(source.file);
    if (found !== source.sha256) {
      throw new AttentionBypassError(
        "CHECKSUM_MISMATCH",
        `expected the SHA-256 ${source.sha256} for ${source.file} but received ${found}`,
      );
    }
    return unpack(source.file, folder, options);
  }
  const downloads = path.join(cacheFolder(), "downloads");
  const file = path.join(downloads, `${source.sha256.slice(0, 16)}-${fileName(source.url)}`);
  await requireSpace(downloads, source.bytes ?? 0, "ATTENTION_BYPASS_CACHE");
  if (!existsSync(file)) {
    const { signal, onProgress } = part(options, 0, 0.8);
    const onBytes = (done: number, total: number) => onProgress?.(Math.min(1, done / total));
    const hash = { algorithm: "sha256", value: source.sha256 } as const;
    await downloadVerified({ url: source.url, file, hash }, { signal, onBytes });
  }
  await unpack(file, folder, part(options, 0.8, 1));
  await rm(file);
}

/** Returns the folder of a libtorch in the cache, by version and device. */
function target({ version, device }: SetupOptions): string {
  return device === "cuda" ? `${cachedLibtorch(version)}-cuda` : cachedLibtorch(version);
}

/** Returns the libtorch that an earlier setup put into the cache, or undefined if there is none. */
export async function findInstalled(options: SetupOptions): Promise<Libtorch | undefined> {
  const found = await examineLibtorch("cache", path.join(target(options), "torch"));
  return typeof found === "string" ? undefined : found;
}

/** Puts a libtorch into the cache. Requires the lock. */
async function install(source: Source, options: SetupOptions): Promise<Libtorch> {
  const place = target(options);
  const folder = path.dirname(place);
  const unfinished = `${place}.unfinished`;
  // Left by a killed process: the lock excludes running ones.
  await rm(unfinished, { recursive: true, force: true });
  try {
    await makeFolder(unfinished);
    await obtain(source, unfinished, options);
    const found = await examineLibtorch("cache", path.join(unfinished, "torch"));
    const [wanted] = options.version.split("+");
    if (typeof found === "string" || found.version.split("+")[0] !== wanted) {
      const reason = typeof found === "string" ? found : `it is version ${found.version}`;
      throw new AttentionBypassError("ARCHIVE_INVALID", `expected libtorch ${wanted} but ${reason}`);
    }
    if (options.device === "cuda" && !found.cuda) {
      throw new AttentionBypassError(
        "ARCHIVE_INVALID",
        `expected a libtorch ${wanted} with CUDA but ${found.version} is built without it`,
      );
    }
    await writing(place, async () => {
      await rm(place, { recursive: true, force: true });
      await rename(unfinished, place);
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
    const downloads = path.join(folder, "downloads");
    if (existsSync(downloads) && (await readdir(downloads)).length === 0) await rm(downloads, { recursive: true });
  }
  return (await findInstalled(options)) as Libtorch;
}

/**
 * Puts a libtorch into the cache atomically: complete or not at all. If several processes run it at the same time, one
 * works and the others wait. Throws DOWNLOAD_FAILED, CHECKSUM_MISMATCH, ARCHIVE_INVALID, DISK_FULL, WRITE_FAILED.
 */
export async function setup(source: Source, options: SetupOptions): Promise<Libtorch> {
  const place = target(options);
  await makeFolder(path.dirname(place));
  const release = await lock(place, options);
  try {
    return (await findInstalled(options)) ?? (await install(source, options));
  } finally {
    // Releasing fails if another process has taken the lock, after this one was suspended for long.
    await release().catch(() => {});
  }
}
