import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import lockfile from "proper-lockfile";
import { cachedLibtorch, cacheFolder, examineLibtorch, type Libtorch } from "../addon/libtorch.js";
import { AttentionBypassError } from "../errors/errors.js";
import { invalidArgument } from "../errors/validation.js";
import { type OperationOptions, part } from "../operation/operation.js";
import { makeRoom, onDisk } from "./disk.js";
import { download, sha256Of } from "./download.js";
import { fileName, pinnedAs, pinnedFiles } from "./pins.js";
import { unpack } from "./unpack.js";

export type SetupDevice = "cpu" | "cuda";

export interface SetupOptions extends OperationOptions {
  version: string;
  device: SetupDevice;
  /** "pip", an http(s) address or a path of a wheel or zip, or a folder of a libtorch. */
  from: string | undefined;
  /** Of what `from` names, where it is no file that the package knows. */
  sha256: string | undefined;
  /** Hears that another process sets the same up, whose end is waited for. */
  onWait: () => void;
}

/** Where a libtorch is to come from. */
export type Source =
  | { kind: "pip"; requirement: string }
  | { kind: "url"; url: string; sha256: string; bytes?: number }
  | { kind: "file"; file: string; sha256?: string }
  | { kind: "folder"; folder: string };

const isAddress = (text: string) => /^https?:\/\//.test(text);

async function localSource(from: string, sha256: string | undefined): Promise<Source> {
  const found = await stat(from).catch(() => undefined);
  if (found === undefined) {
    throw new AttentionBypassError(
      "FILE_NOT_FOUND",
      `expected "pip", an address, or the path of a wheel, a zip or a folder for --from but there is no ${from}`,
    );
  }
  if (found.isDirectory()) return { kind: "folder", folder: from };
  const checksum = sha256 ?? pinnedAs(path.basename(from))?.sha256;
  return { kind: "file", file: from, ...(checksum !== undefined && { sha256: checksum }) };
}

/** Decides what `setup` is to bring. Throws INVALID_ARGUMENT, FILE_NOT_FOUND. */
export async function chooseSource({ version, device, from, sha256 }: SetupOptions): Promise<Source> {
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw invalidArgument("--version", "a version such as 2.13.0", version);
  }
  const pip: Source = { kind: "pip", requirement: `torch==${version}` };
  if (from === "pip") return pip;
  if (from === undefined) {
    const platform = `${process.platform}-${process.arch}`;
    const file = pinnedFiles.find(
      (one) => one.version === version && one.device === device && one.platform === platform,
    );
    return file ? { kind: "url", ...file } : pip;
  }
  if (!isAddress(from)) return localSource(from, sha256);
  const known = pinnedAs(fileName(from));
  const checksum = sha256 ?? known?.sha256;
  if (checksum === undefined) {
    throw new AttentionBypassError(
      "INVALID_ARGUMENT",
      `expected --sha256 with an address of a file that this package does not know but received ${from} alone`,
    );
  }
  return { kind: "url", url: from, sha256: checksum, ...(known && { bytes: known.bytes }) };
}

/** The CPU's part needs nothing beside it; CUDA's needs NVIDIA's libraries, which pip brings too. */
async function byPip(requirement: string, folder: string, { device, signal }: SetupOptions): Promise<void> {
  const python = process.env.ATTENTION_BYPASS_PYTHON ?? "python3";
  const args = ["-m", "pip", "install", ...(device === "cpu" ? ["--no-deps"] : []), "--no-compile", "--quiet"];
  const child = spawn(python, [...args, "--target", folder, requirement], {
    stdio: ["ignore", "ignore", "pipe"],
    ...(signal && { signal }),
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-2000);
  });
  const failure = await new Promise<string | undefined>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code) =>
      resolve(code === 0 ? undefined : said.trim().split("\n").at(-1) || `it ended with ${code}`),
    );
  });
  signal?.throwIfAborted();
  if (failure !== undefined) {
    throw new AttentionBypassError(
      "DOWNLOAD_FAILED",
      `expected \`${python} -m pip install ${requirement}\` to work but ${failure}`,
    );
  }
}

async function obtain(source: Source, folder: string, options: SetupOptions): Promise<void> {
  if (source.kind === "pip") return byPip(source.requirement, folder, options);
  if (source.kind === "folder") {
    const copied = path.join(folder, "torch");
    return onDisk(copied, () => cp(source.folder, copied, { recursive: true, dereference: true }));
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
  await makeRoom(downloads, source.bytes ?? 0);
  if (!existsSync(file)) await download({ url: source.url, file, sha256: source.sha256 }, part(options, 0, 0.8));
  await unpack(file, folder, part(options, 0.8, 1));
  await rm(file);
}

/** Waits for a lock that processes share and that a killed one loses after some seconds. */
async function lock(place: string, { signal, onWait }: SetupOptions): Promise<() => Promise<void>> {
  let waiting = false;
  for (;;) {
    try {
      return await lockfile.lock(place, {
        realpath: false,
        stale: 5_000,
        update: 1_000,
        // Who took it finds out what is there, and this one that its files are gone.
        onCompromised: () => {},
      });
    } catch (error) {
      if ((error as { code?: string }).code !== "ELOCKED") throw error;
    }
    if (!waiting) onWait();
    waiting = true;
    await sleep(300, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

/** The folder that setup fills for a device. */
function target({ version, device }: SetupOptions): string {
  return device === "cuda" ? `${cachedLibtorch(version)}-cuda` : cachedLibtorch(version);
}

/** What setup has brought before; undefined where there is nothing. */
export async function broughtBefore(options: SetupOptions): Promise<Libtorch | undefined> {
  const found = await examineLibtorch("cache", path.join(target(options), "torch"));
  return typeof found === "string" ? undefined : found;
}

async function bring(source: Source, options: SetupOptions): Promise<Libtorch> {
  const place = target(options);
  const folder = path.dirname(place);
  const unfinished = `${place}.unfinished`;
  // What a killed one left; nobody else is here.
  await rm(unfinished, { recursive: true, force: true });
  try {
    await mkdir(unfinished, { recursive: true });
    await obtain(source, unfinished, options);
    const found = await examineLibtorch("cache", path.join(unfinished, "torch"));
    const [wanted] = options.version.split("+");
    if (typeof found === "string" || found.version.split("+")[0] !== wanted) {
      const came = typeof found === "string" ? found : `it is version ${found.version}`;
      throw new AttentionBypassError("ARCHIVE_INVALID", `expected libtorch ${wanted} but ${came}`);
    }
    if (options.device === "cuda" && !found.cuda) {
      throw new AttentionBypassError(
        "ARCHIVE_INVALID",
        `expected a libtorch ${wanted} with CUDA but ${found.version} is built without it`,
      );
    }
    await onDisk(place, async () => {
      await rm(place, { recursive: true, force: true });
      await rename(unfinished, place);
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
    // A folder that nothing is in any more.
    const downloads = path.join(folder, "downloads");
    if (existsSync(downloads) && (await readdir(downloads)).length === 0) await rm(downloads, { recursive: true });
  }
  return (await broughtBefore(options)) as Libtorch;
}

/**
 * Brings a libtorch into the cache: it is there whole, or not at all. Of several that run at once one works and the
 * others wait. Throws DOWNLOAD_FAILED, CHECKSUM_MISMATCH, ARCHIVE_INVALID, DISK_FULL, WRITE_FAILED.
 */
export async function setup(source: Source, options: SetupOptions): Promise<Libtorch> {
  const place = target(options);
  await onDisk(path.dirname(place), () => mkdir(path.dirname(place), { recursive: true }));
  const release = await lock(place, options);
  try {
    return (await broughtBefore(options)) ?? (await bring(source, options));
  } finally {
    // Who took the lock of a process that slept for long keeps it.
    await release().catch(() => {});
  }
}
