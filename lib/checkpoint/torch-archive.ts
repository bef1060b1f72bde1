import { AttentionBypassError } from "../errors/errors.js";
import { quoted } from "../errors/quoted.js";
import type { RegularFile } from "../files/regular-file.js";
import { PickleError } from "./pickle.js";
import { type NamedTensors, type PickledTensor, readStateDictionary } from "./state-dictionary.js";
import type { ListedTensor } from "./stored-tensor.js";
import { bitsOf, checkLayout } from "./tensor-layout.js";
import { ZipError, ZipRecords } from "./zip-records.js";

/** Marks an archive of this package, and says with which version it was made. */
export const archiveMark = "attention-bypass.json";

/** A hundred times what the pickle of a large checkpoint takes. */
const longestPickle = 16 * 2 ** 20;

/** The extra files that are read, each with the most bytes that it may have. */
const extraLimits = [
  [archiveMark, 2 ** 16],
  ["config.json", 2 ** 20],
  ["tokenizer.json", 64 * 2 ** 20],
] as const;

/** A zip archive that torch.save or torch.jit.save has written. */
export interface TorchArchive {
  readonly tensors: readonly ListedTensor[];
  /** The texts of the known extra files, of an archive of this package. */
  readonly extra: ReadonlyMap<string, string>;
  /** Whether it is TorchScript. */
  readonly hasCode: boolean;
}

interface Place {
  begin: number;
  end: number;
}

/** Makes errors of the archive's parts an error that names the file. */
async function inArchive<Value>(file: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PickleError || error instanceof ZipError)) throw error;
    throw new AttentionBypassError(
      "ARCHIVE_INVALID",
      `expected an archive by PyTorch 1.6 or later in ${file} but ${error.message}`,
      { cause: error },
    );
  }
}

/** The one folder that everything in an archive lies in. */
function folderIn(names: Iterable<string>): string {
  const folders = [...names].filter((name) => /^[^/]+\/data\.pkl$/.test(name)).map((name) => name.split("/")[0]);
  const [folder, ...others] = folders;
  if (folder === undefined) throw new ZipError("it has no record data.pkl");
  if (others.length > 0) throw new ZipError("it has several records data.pkl");
  return `${folder}/`;
}

/** Where the records of all storages lie. */
async function placesOf(zip: ZipRecords, tensors: NamedTensors, folder: string): Promise<Map<string, Place>> {
  const places = new Map<string, Place>();
  for (const [name, { storage }] of tensors) {
    if (places.has(storage.key)) continue;
    const record = `${folder}data/${storage.key}`;
    if (!zip.has(record))
      throw new ZipError(`tensor ${quoted(name)} lies in a record ${quoted(record)} that is not there`);
    places.set(storage.key, await zip.place(record));
  }
  return places;
}

function locate(name: string, { storage, dtype, offset, shape, strides }: PickledTensor, place: Place, file: string) {
  const layout = { name, dtype, shape, strides };
  const bytes = bitsOf(layout, file) / 8;
  // What the pickle says of the storage, and what the record holds, bound it both.
  const elements = Math.floor((place.end - place.begin) / bytes);
  const said = storage.dtype === undefined ? Math.floor(storage.size / bytes) : storage.size;
  checkLayout(layout, Math.min(elements, said) - offset, file);
  return { ...layout, begin: place.begin + offset * bytes, end: place.end };
}

/** Reads what an archive says of itself; no code in it is run or parsed. Throws ARCHIVE_INVALID. */
export function readTorchArchive(file: RegularFile): Promise<TorchArchive> {
  return inArchive(file.path, async () => {
    const zip = await ZipRecords.open(file);
    const folder = folderIn(zip.names);
    const byteOrder = `${folder}byteorder`;
    if (zip.has(byteOrder) && (await zip.read(byteOrder, 16)).toString("latin1") !== "little") {
      throw new ZipError("its numbers are big-endian; write it again on a little-endian machine");
    }
    const extra = new Map<string, string>();
    for (const [name, limit] of extraLimits) {
      const record = `${folder}extra/${name}`;
      // Without the mark, they are somebody else's, and mean something else.
      if (!zip.has(record) || (name !== archiveMark && !extra.has(archiveMark))) continue;
      extra.set(name, (await zip.read(record, limit)).toString("utf8"));
    }
    const tensors = await readStateDictionary(await zip.read(`${folder}data.pkl`, longestPickle));
    const places = await placesOf(zip, tensors, folder);
    return {
      tensors: tensors.map(([name, tensor]) => ({
        name,
        locate: () => locate(name, tensor, places.get(tensor.storage.key) as Place, file.path),
      })),
      extra,
      hasCode: [...zip.names].some((name) => name.startsWith(`${folder}code/`)),
    };
  });
}
