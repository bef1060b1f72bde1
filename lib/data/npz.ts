import { Readable } from "node:stream";
import type { Entry, ZipFile } from "yauzl";
import { AttentionBypassError } from "../errors/errors.js";
import { bounded } from "../files/decompress.js";
import type { ByteSource, InputFile } from "../files/input-file.js";

/** The most members of a zip archive that are examined. numpy writes one for each array. */
const memberCount = 1000;

/** A byte source over a stream. Bytes before the position of a read are dropped. */
class ForwardBytes implements ByteSource {
  #position = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(
    private readonly chunks: AsyncIterator<Buffer>,
    readonly size: number,
    private readonly ended: () => Error,
  ) {}

  async #take(length: number, keep: (piece: Buffer) => void): Promise<void> {
    for (let left = length; left > 0; ) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.chunks.next();
        if (done) throw this.ended();
        this.#rest = value;
        continue;
      }
      const piece = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(piece.length);
      left -= piece.length;
      keep(piece);
    }
    this.#position += length;
  }

  async read(position: number, length: number): Promise<Buffer> {
    await this.#take(position - this.#position, () => {});
    const pieces: Buffer[] = [];
    await this.#take(length, (piece) => pieces.push(piece));
    return Buffer.concat(pieces);
  }
}

async function openZip(file: InputFile): Promise<ZipFile> {
  // Loaded here, so that importing this package is fast.
  const { default: yauzl } = await import("yauzl");
  class Reader extends yauzl.RandomAccessReader {
    override _readStreamForRange(from: number, to: number): Readable {
      return Readable.from(file.chunks(from, to), { objectMode: false });
    }
  }
  return new Promise((resolve, reject) => {
    const options = { lazyEntries: true, autoClose: false };
    yauzl.fromRandomAccessReader(new Reader(), file.size, options, (error, zip) =>
      error ? reject(error) : resolve(zip),
    );
  });
}

/** Returns the entries of a zip archive whose names end with .npy. */
function arraysIn(zip: ZipFile): Promise<Entry[]> {
  return new Promise((resolve, reject) => {
    const arrays: Entry[] = [];
    let seen = 0;
    zip.on("error", reject);
    zip.on("end", () => resolve(arrays));
    zip.on("entry", (entry: Entry) => {
      if (entry.fileName.endsWith(".npy")) arrays.push(entry);
      if (++seen >= memberCount) resolve(arrays);
      else zip.readEntry();
    });
    zip.readEntry();
  });
}

const streamOf = (zip: ZipFile, entry: Entry): Promise<Readable> =>
  new Promise((resolve, reject) => {
    zip.openReadStream(entry, (error, stream) => (error ? reject(error) : resolve(stream)));
  });

/** Opens the only array of an .npz file. Throws the purpose's code if it has none or several. */
export async function openNpz(file: InputFile): Promise<ByteSource> {
  const damaged = (error: unknown) =>
    error instanceof AttentionBypassError
      ? error
      : file.refuse(`it is a zip that can't be read (${(error as Error).message})`);
  try {
    const zip = await openZip(file);
    const arrays = await arraysIn(zip);
    const [only, ...others] = arrays;
    if (only === undefined) {
      throw file.refuse("it is a zip archive without a .npy array", "extract it and give one of its files");
    }
    if (others.length > 0) {
      const names = arrays
        .slice(0, 8)
        .map(({ fileName }) => JSON.stringify(fileName.slice(0, 60).replace(/\.npy$/, "")));
      throw file.refuse(
        `it holds ${arrays.length} arrays: ${names.join(", ")}${arrays.length > names.length ? ", …" : ""}`,
        "save one as .npy, or two as { prefixes, suffixes }: numpy.save(NEW, numpy.load(FILE)[NAME])",
      );
    }
    const chunks = (async function* () {
      try {
        // Open the stream only when it is read: an error that it emits without a listener would end the process.
        yield* bounded(file, await streamOf(zip, only));
      } catch (error) {
        throw damaged(error);
      }
    })();
    return new ForwardBytes(chunks, only.uncompressedSize, () => file.refuse("the array in it is cut off"));
  } catch (error) {
    throw damaged(error);
  }
}
