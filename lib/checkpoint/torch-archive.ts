import { AttentionBypassError } from "../errors/errors.js";
import { quoted } from "../errors/quoted.js";
import type { RegularFile } from "../files/regular-file.js";
import { markName } from "./mark.js";
import { PickleError } from "./pickle.js";
import { type NamedTensors, type PickledTensor, readStateDictionary } from "./state-dictionary.js";
import type { ListedTensor } from "./stored-tensor.js";
import { bitsOf, checkLayout } from "./tensor-layout.js";
import { ZipError, ZipRecords } from "./zip-records.js";

/** The most bytes of a pickle, a hundred times that of a large checkpoint. */
const longestPickle = 16 * 2 ** 20;

/** The extra files that are read, each with its limit in bytes. */
const extraLimits = [
  [markName, 2 ** 20],
  ["config.json", 2 ** 20],
  ["tokenizer.json", 64 * 2 ** 20],
  ["chat_template.json", 2 ** 20],
] as const;

/** The content of a zip archive that torch.save or torch.jit.save wrote. */
export interface TorchArchive {
  readonly tensors: readonly ListedTensor[];
  /** The texts of the known extra files by name; empty for an archive of another program. */
  readonly extra: ReadonlyMap<string, string>;
  /** Whether the archive contains TorchScript code. */
  readonly hasCode: boolean;
}

interface Place {
  begin: number;
  end: number;
}

/** Runs work, and converts a PickleError or ZipError to ARCHIVE_INVALID with the name of the file. */
async function inArchive<Value>(file: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof PickleError || error instanceof ZipError)) throw error;
    throw new AttentionBypassError(
      "ARCHIVE_INVALID",
      `expected an archive of PyTorch 1.6 or later in ${file} but ${error.message}`,
      { cause: error },
    );
  }
}

/** Returns the top folder of an archive, which contains all its records. */
function folderIn(names: Iterable<string>): string {
  const folders = [...names].filter((name) => /^[^/]+\/data\.pkl$/.test(name)).map((name) => name.split("/")[0]);
  const [folder, ...others] = folders;
  if (folder === undefined) throw new ZipError("it has no record data.pkl");
  if (others.length > 0) throw new ZipError("it has several records data.pkl");
  return `${folder}/`;
}

/** Returns the byte ranges of all storages, by key. */
async function placesOf(zip: ZipRecords, tensors: NamedTensors, folder: string): Promise<Map<string, Place>> {
  const places = new Map<string, Place>();
  for (const [name, { storage }] of tensors) {
    if (places.has(storage.key)) continue;
    const record = `${folder}data/${storage.key}`;
    if (!zip.has(record))
      throw new ZipError(`its record ${quoted(record)}, with the tensor ${quoted(name)}, is missing`);
    places.set(storage.key, await zip.place(record));
  }
  return places;
}

function locate(name: string, { storage, dtype, offset, shape, strides }: PickledTensor, place: Place, file: string) {
  const layout = { name, dtype, shape, strides };
  const bytes = bitsOf(layout, file) / 8;
  // The tensor must fit both the record and the storage's size in the pickle.
  const elements = Math.floor((place.end - place.begin) / bytes);
  const declared = storage.dtype === undefined ? Math.floor(storage.size / bytes) : storage.size;
  checkLayout(layout, Math.min(elements, declared) - offset, file);
  return { ...layout, begin: place.begin + offset * bytes, end: place.end };
}

/** Reads the tensors and extra files of an archive. No code in it is run or parsed. Throws ARCHIVE_INVALID. */
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
      // Without the mark, another program wrote the extra files, and they may have another meaning.
      if (!zip.has(record) || (name !== markName && !extra.has(markName))) continue;
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
