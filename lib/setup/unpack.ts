import { createWriteStream } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import yauzl, { type Entry, type ZipFile } from "yauzl";
import { requireSpace, writing } from "../download/disk.js";
import { AttentionBypassError } from "../errors/errors.js";
import { makeFolder } from "../files/make-folder.js";
import type { OperationOptions } from "../operation/operation.js";

const openZip = promisify<string, yauzl.Options, ZipFile>(yauzl.open);

/**
 * Returns the path to unpack an entry of PyTorch's wheel or of libtorch's zip to: for libraries, headers, the version
 * and licences. Returns undefined for all other entries, such as Python files.
 */
function placeOf(name: string): string | undefined {
  const [top = "", ...rest] = name.split("/");
  const inside = rest.join("/");
  if (top.endsWith(".dist-info"))
    return /licen[cs]e|notice/i.test(inside) ? path.join("torch", "licenses", inside) : undefined;
  if (top !== "torch" && top !== "libtorch") return undefined;
  return /^(lib|include)\/|^(version\.py|build-version)$/.test(inside) ? path.join("torch", inside) : undefined;
}

async function entriesOf(zip: ZipFile): Promise<Entry[]> {
  const entries: Entry[] = [];
  await new Promise<void>((resolve, reject) => {
    zip.on("error", reject);
    zip.on("end", resolve);
    zip.on("entry", (entry: Entry) => {
      entries.push(entry);
      zip.readEntry();
    });
    zip.readEntry();
  });
  return entries;
}

/** Unpacks the libtorch of a wheel or zip into `folder`/torch. Throws ARCHIVE_INVALID, DISK_FULL, WRITE_FAILED. */
export async function unpack(archive: string, folder: string, { signal, onProgress }: OperationOptions): Promise<void> {
  const broken = (error: unknown) =>
    new AttentionBypassError(
      "ARCHIVE_INVALID",
      `expected a PyTorch wheel or libtorch zip in ${archive} but ${(error as Error).message}`,
      { cause: error },
    );
  const zip = await openZip(archive, { lazyEntries: true, autoClose: false }).catch((error) => {
    throw broken(error);
  });
  try {
    const entries = await entriesOf(zip).catch((error) => {
      throw broken(error);
    });
    const wanted = entries.flatMap((entry) => {
      const place = entry.fileName.endsWith("/") ? undefined : placeOf(entry.fileName);
      return place === undefined ? [] : [{ entry, place: path.join(folder, place) }];
    });
    if (!wanted.some(({ place }) => path.basename(place) === "libtorch_cpu.so")) {
      throw broken(new Error("it does not contain libtorch_cpu.so"));
    }
    const total = wanted.reduce((sum, { entry }) => sum + entry.uncompressedSize, 0);
    await requireSpace(folder, total, "ATTENTION_BYPASS_CACHE");
    const openEntry = promisify(
      zip.openReadStream.bind(zip) as (
        entry: Entry,
        callback: (error: Error | null, stream: NodeJS.ReadableStream) => void,
      ) => void,
    );
    let done = 0;
    for (const { entry, place } of wanted) {
      signal?.throwIfAborted();
      await writing(place, async () => {
        await makeFolder(path.dirname(place));
        await pipeline(await openEntry(entry), createWriteStream(place), { signal: signal as AbortSignal });
      }).catch((error) => {
        signal?.throwIfAborted();
        throw error instanceof AttentionBypassError ? error : broken(error);
      });
      done += entry.uncompressedSize;
      onProgress?.(done / total);
    }
  } finally {
    zip.close();
  }
}
