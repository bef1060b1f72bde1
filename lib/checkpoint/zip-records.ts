import type { Readable } from "node:stream";
import type { Entry, ZipFile } from "yauzl";
import { longestMessage, quoted } from "../errors/quoted.js";
import { type RegularFile, readBytes } from "../files/regular-file.js";

/** The error for an archive that is not supported. The message completes "expected … but". */
export class ZipError extends Error {}

/** The most records, more than any PyTorch archive has. Each one costs two reads. */
const mostRecords = 20_000;
const localHeaderBytes = 30;
const stored = 0;
const deflated = 8;

/** An open zip archive whose records do not overlap. */
export class ZipRecords {
  readonly #zip: ZipFile;
  readonly #file: RegularFile;
  readonly #entries: ReadonlyMap<string, Entry>;
  /** For each record, the offset of the next one, or the end of the file. */
  readonly #ends: ReadonlyMap<Entry, number>;

  private constructor(zip: ZipFile, file: RegularFile, entries: readonly Entry[]) {
    this.#zip = zip;
    this.#file = file;
    const byName = new Map<string, Entry>();
    for (const entry of entries) {
      if (byName.has(entry.fileName)) throw new ZipError(`its record ${quoted(entry.fileName)} occurs twice`);
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

  /** Returns the byte range of a record in the file. Throws a ZipError if the record is compressed. */
  async place(name: string): Promise<{ begin: number; end: number }> {
    const entry = this.#find(name);
    if (entry.compressionMethod !== stored || entry.compressedSize !== entry.uncompressedSize) {
      throw new ZipError(
        `its record ${quoted(name)} is compressed, and only uncompressed tensors can be read; ` +
          "write it again in Python: torch.save(torch.load(file), file)",
      );
    }
    const begin = await this.#dataStart(entry);
    return { begin, end: begin + entry.uncompressedSize };
  }

  /** Reads a record of at most `limit` bytes, compressed or not. */
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
      // yauzl throws if there are more bytes than the declared size.
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

  /** Returns the offset of a record's bytes from its local header, which must agree with the zip directory. */
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
    throw new ZipError(`its directory and the header of its record ${quoted(entry.fileName)} disagree`);
  }
}

function asZipError(error: unknown): unknown {
  if (error instanceof ZipError || !(error instanceof Error)) return error;
  return new ZipError(`reading it failed: ${quoted(error.message, longestMessage)}`);
}

/**
 * Returns the end of each record. Throws a ZipError if two overlap, so that all together are no larger than the file.
 */
function endsOf(entries: readonly Entry[], size: number): Map<Entry, number> {
  const sorted = [...entries].sort((one, other) => one.relativeOffsetOfLocalHeader - other.relativeOffsetOfLocalHeader);
  const ends = new Map<Entry, number>();
  for (const [index, entry] of sorted.entries()) {
    const end = sorted[index + 1]?.relativeOffsetOfLocalHeader ?? size;
    const least = localHeaderBytes + entry.fileNameLength + entry.compressedSize;
    if (entry.relativeOffsetOfLocalHeader + least > end) {
      throw new ZipError(`its record ${quoted(entry.fileName)} overlaps the next one`);
    }
    ends.set(entry, end);
  }
  return ends;
}
