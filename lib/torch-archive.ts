import { AttentionBypassError, fromNative } from "./errors.js";
import type { Addon, NativeArchive, NativeTensor } from "./native.js";

/** PyTorch's storage classes by the dtypes of safetensors. */
const storageTypes: Readonly<Record<string, string>> = {
  DoubleStorage: "F64",
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
};

const elementBytes: Readonly<Record<string, number>> = { F64: 8, I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2, I16: 2 };

interface Storage {
  dtype: string;
  key: string;
}

/** A tensor as the pickle describes it; offset and strides in elements. */
class PickledTensor {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: number[],
    readonly strides: number[],
  ) {}
}

/** An object of a TorchScript class, of which the attributes alone matter. */
class PickledObject {
  attributes: unknown;
  __setstate__(attributes: unknown): void {
    this.attributes = attributes;
  }
}

/** Stands for whatever a pickle names that is no tensor; nothing in a pickle is ever run. */
function ignored(): undefined {
  return undefined;
}

const rebuildTensor = (storage: Storage, offset: number, shape: number[], strides: number[]) =>
  new PickledTensor(storage, offset, shape, strides);

function resolveName(module: string, name: string): unknown {
  if (module === "torch" && name in storageTypes) return storageTypes[name];
  if (module === "collections" && name === "OrderedDict") return () => new Map();
  if (module === "torch._utils" && /^_rebuild_tensor(_v2)?$/.test(name)) return rebuildTensor;
  if (module === "torch._utils" && name === "_rebuild_parameter") return (tensor: unknown) => tensor;
  return module.startsWith("__torch__") ? PickledObject : ignored;
}

async function parse(pickle: Uint8Array): Promise<unknown> {
  const { Parser } = await import("pickleparser");
  const parser = new Parser({
    unpicklingTypeOfDictionary: "Map",
    nameResolver: { resolve: resolveName as never },
    // PyTorch's persistent ids are tuples: ("storage", type, key, device, number of elements).
    persistentResolver: {
      resolve: (id) => {
        const [, dtype, key] = id as unknown as [string, string, string];
        return { dtype, key };
      },
    },
  });
  return parser.parse(pickle);
}

/** Every tensor in a tree of dictionaries and objects, by its dotted name. */
function* walk(value: unknown, name: string): Generator<[string, PickledTensor]> {
  if (value instanceof PickledTensor) yield [name, value];
  else if (value instanceof PickledObject) yield* walk(value.attributes, name);
  else if (value instanceof Map) {
    for (const [key, item] of value) yield* walk(item, name === "" ? String(key) : `${name}.${key}`);
  }
}

export function openArchive(addon: Addon, file: string): NativeArchive {
  try {
    return addon.openArchive(file);
  } catch (error) {
    throw fromNative(error);
  }
}

/** The tensors of an archive, where they lie in its file. Throws ARCHIVE_INVALID. */
export async function archiveTensors(archive: NativeArchive, file: string): Promise<NativeTensor[]> {
  const invalid = (reason: string) =>
    new AttentionBypassError("ARCHIVE_INVALID", `expected tensors by PyTorch in ${file} but ${reason}`);
  let root: unknown;
  try {
    root = await parse(archive.pickle);
  } catch (error) {
    throw invalid((error as Error).message);
  }
  return [...walk(root, "")].map(([name, { storage, offset, shape, strides }]) => {
    const record = archive.storages[storage.key];
    if (!record) throw invalid(`tensor ${name} lies in a storage ${storage.key} that is not there`);
    const { dtype } = storage;
    return {
      name,
      dtype,
      shape,
      strides,
      file,
      begin: record.begin + offset * (elementBytes[dtype] ?? 1),
      end: record.end,
    };
  });
}
