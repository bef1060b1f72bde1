import type { Readable } from "node:stream";
import type { Entry, ZipFile } from "yauzl";
import { longestMessage, quoted } from "../errors/quoted.js";
import { type RegularFile, readBytes } from "../files/regular-file.js";

/** An archive that is refused. The message completes "expected … but". */
export class ZipError extends Error {}

/** More records than any archive by PyTorch has; each costs two reads. */
const mostRecords = 20_000;
const localHeaderBytes = 30;
const stored = 0;
const deflated = 8;

/** A zip archive that is open; its records lie apart from each other. */
export class ZipRecords {
  readonly #zip: ZipFile;
  readonly #file: RegularFile;
  readonly #entries: ReadonlyMap<string, Entry>;
  /** Where the next record begins, for each. */
  readonly #ends: ReadonlyMap<Entry, number>;

  private constructor(zip: ZipFile, file: RegularFile, entries: readonly Entry[]) {
    this.#zip = zip;
    this.#file = file;
    const byName = new Map<string, Entry>();
    for (const entry of entries) {
      if (byName.has(entry.fileName)) throw new ZipError(`its record ${quoted(entry.fileName)} is there twice`);
      byName.set(entry.fileName, entry);
    }
    this.#entries = byName;
    this.#ends = endsOf(entries, file.size);
  }

  static async open(file: RegularFile): Promise<ZipRecords> {
    const { default: yauzl } = await import("yauzl");
    try {
      const zip = await yauzl.fromFdPromise(file.handle.fd, { lazyEntries: true, autoClose: false });
      if (zip.entryCount > mostRecords) {
        throw new ZipError(`it has ${zip.entryCount} records, and at most ${mostRecords} are read`);
      }
      const entries: Entry[] = [];
      for await (const entry of zip.eachEntry()) entries.push(entry);
      return new ZipRecords(zip, file, entries);
    } catch (error) {
      throw asZipError(error);
    }
  }

  get names(): Iterable<string> {
    return this.#entries.keys();
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Where a record's bytes lie in the file; it must be stored as it is. */
  async place(name: string): Promise<{ begin: number; end: number }> {
    const entry = this.#find(name);
    if (entry.compressionMethod !== stored || entry.compressedSize !== entry.uncompressedSize) {
      throw new ZipError(
        `its record ${quoted(name)} is compressed, so that no part of it can be read alone; ` +
          "write it again in Python: torch.save(torch.load(file), file)",
      );
    }
    const begin = await this.#dataStart(entry);
    return { begin, end: begin + entry.uncompressedSize };
  }

  /** The content of a record that may be of a limited size. */
  async read(name: string, limit: number): Promise<Buffer> {
    const entry = this.#find(name);
    if (entry.uncompressedSize > limit) {
      throw new ZipError(
        `its record ${quoted(name)} has ${entry.uncompressedSize} bytes, and at most ${limit} are read`,
      );
    }
    if (entry.compressionMethod !== stored && entry.compressionMethod !== deflated) {
      throw new ZipError(`its record ${quoted(name)} is compressed by method ${entry.compressionMethod}`);
    }
    const begin = await this.#dataStart(entry);
    if (entry.compressionMethod === stored) return readBytes(this.#file, begin, entry.compressedSize);
    try {
      const stream: Readable = await this.#zip.openReadStreamPromise(entry);
      const parts: Buffer[] = [];
      // yauzl ends with an error where there is more than the declared size.
      for await (const part of stream) parts.push(part);
      return Buffer.concat(parts);
    } catch (error) {
      throw asZipError(error);
    }
  }

  #find(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new ZipError(`it has no record ${quoted(name)}`);
    if (entry.isEncrypted()) throw new ZipError(`its record ${quoted(name)} is encrypted`);
    return entry;
  }

  /** Where a record's bytes begin, by its own header, which has to agree with the directory. */
  async #dataStart(entry: Entry): Promise<number> {
    try {
      const header = await this.#zip.readLocalFileHeaderPromise(entry);
      const agrees =
        header.compressionMethod === entry.compressionMethod &&
        header.fileName.equals(entry.fileNameRaw) &&
        header.fileDataStart + entry.compressedSize <= (this.#ends.get(entry) ?? 0);
      if (agrees) return header.fileDataStart;
    } catch (error) {
      throw asZipError(error);
    }
    throw new ZipError(`the directory says of its record ${quoted(entry.fileName)} what the record itself does not`);
  }
}

function asZipError(error: unknown): unknown {
  if (error instanceof ZipError || !(error instanceof Error)) return error;
  return new ZipError(`reading it says ${quoted(error.message, longestMessage)}`);
}

/** Refuses records that lie over each other, so that all together hold no more than the file. */
function endsOf(entries: readonly Entry[], size: number): Map<Entry, number> {
  const sorted = [...entries].sort((one, other) => one.relativeOffsetOfLocalHeader - other.relativeOffsetOfLocalHeader);
  const ends = new Map<Entry, number>();
  for (const [index, entry] of sorted.entries()) {
    const end = sorted[index + 1]?.relativeOffsetOfLocalHeader ?? size;
    const least = localHeaderBytes + entry.fileNameLength + entry.compressedSize;
    if (entry.relativeOffsetOfLocalHeader + least > end) {
      throw new ZipError(`its record ${quoted(entry.fileName)} lies over the one after it`);
    }
    ends.set(entry, end);
  }
  return ends;
}
