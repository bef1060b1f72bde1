import { setImmediate } from "node:timers/promises";
import * as v from "valibot";
import { quoted } from "../errors/quoted.js";
import { wholeNumber } from "../errors/validation.js";
import {
  Ignored,
  PickledCallable,
  PickledDictionary,
  PickledObject,
  PickledTuple,
  PickleError,
  unpickle,
} from "./pickle.js";
import { mostTensors } from "./tensor-layout.js";

/** The most values that are visited, more than the dictionaries of a checkpoint have. */
const mostValues = 1_000_000;
/** The values that are visited between two turns of the event loop. */
const sliceValues = 10_000;
/** The most axes of a tensor, which may be one that the model does not use. */
const mostAxes = 64;

/** A storage class or a dtype. If `dtype` is undefined, the storage is a sequence of bytes. */
class StorageType {
  constructor(readonly dtype: string | undefined) {}
}

interface Storage {
  /** The name of the archive's record that contains the bytes. */
  key: string;
  dtype: string | undefined;
  /** The size in elements. */
  size: number;
}

class PickledStorage implements Storage {
  constructor(
    readonly key: string,
    readonly dtype: string | undefined,
    readonly size: number,
  ) {}
}

/** A tensor as the pickle describes it. Offset and strides are in elements. */
export class PickledTensor {
  constructor(
    readonly storage: Readonly<Storage>,
    readonly dtype: string,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/** Tensors by their dotted names. */
export type NamedTensors = readonly (readonly [name: string, tensor: PickledTensor])[];

const tuple = <Item extends v.GenericSchema>(item: Item, most: number) =>
  v.pipe(
    v.instance(PickledTuple),
    v.transform(({ items }) => items),
    v.pipe(v.array(item), v.maxLength(most)),
  );
const sizes = tuple(wholeNumber(0), mostAxes);

function check<Schema extends v.GenericSchema>(schema: Schema, value: unknown, what: string): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  throw new PickleError(`its pickle has an invalid description of ${what}`);
}

const storageId = v.looseTuple([
  v.literal("storage"),
  v.instance(StorageType),
  v.pipe(v.string(), v.maxLength(100)),
  v.string(),
  wholeNumber(0),
]);

function findStorage(id: unknown): PickledStorage {
  const [, { dtype }, key, , size] = check(storageId, id instanceof PickledTuple ? id.items : undefined, "a storage");
  return new PickledStorage(key, dtype, size);
}

const tensorArguments = v.looseTuple([v.instance(PickledStorage), wholeNumber(0), sizes, sizes]);
const typedArguments = v.looseTuple([...tensorArguments.items, v.unknown(), v.unknown(), v.instance(StorageType)]);
const parameterArguments = v.looseTuple([v.instance(PickledTensor)]);

const rebuildTensor = new PickledCallable((args) => {
  const [storage, offset, shape, strides] = check(tensorArguments, args, "a tensor");
  return new PickledTensor(storage, storage.dtype ?? "U8", offset, shape, strides);
});

/** For dtypes without a storage class. */
const rebuildTypedTensor = new PickledCallable((args) => {
  const [storage, offset, shape, strides, , , { dtype }] = check(typedArguments, args, "a tensor");
  return new PickledTensor(storage, dtype ?? "U8", offset, shape, strides);
});

const rebuildParameter = new PickledCallable((args) => check(parameterArguments, args, "a parameter")[0]);

/** For tensors with attributes in Python, which are dropped: (function, class, arguments, attributes). */
const rebuildWithAttributes = new PickledCallable((args) => {
  const [rebuild, , inner] = args;
  const known = [rebuildTensor, rebuildTypedTensor, rebuildParameter].find((callable) => callable === rebuild);
  if (known !== undefined && inner instanceof PickledTuple) return known.call(inner.items);
  throw new PickleError("its pickle has an invalid description of a tensor");
});

const makeDictionary = new PickledCallable(() => new PickledDictionary());
const makeObject = new PickledCallable(() => new PickledObject());
const ignore = new PickledCallable(() => new Ignored());
const keepFirst = new PickledCallable(([value]) => value);

const dtypes: readonly (readonly [name: string, dtype: string, storage?: string])[] = [
  ["float64", "F64", "DoubleStorage"],
  ["float32", "F32", "FloatStorage"],
  ["float16", "F16", "HalfStorage"],
  ["bfloat16", "BF16", "BFloat16Storage"],
  ["complex64", "C64", "ComplexFloatStorage"],
  ["complex128", "C128", "ComplexDoubleStorage"],
  ["int64", "I64", "LongStorage"],
  ["int32", "I32", "IntStorage"],
  ["int16", "I16", "ShortStorage"],
  ["int8", "I8", "CharStorage"],
  ["uint8", "U8", "ByteStorage"],
  ["bool", "BOOL", "BoolStorage"],
  ["uint64", "U64"],
  ["uint32", "U32"],
  ["uint16", "U16"],
  ["float8_e4m3fn", "F8_E4M3"],
  ["float8_e5m2", "F8_E5M2"],
];

/** Names in training checkpoints that have no tensors. Their values are replaced by placeholders. */
const ignoredNames = [
  "_codecs.encode",
  "argparse.Namespace",
  "datetime.date",
  "datetime.datetime",
  "datetime.timedelta",
  "numpy._core.multiarray._reconstruct",
  "numpy._core.multiarray.scalar",
  "numpy._core.numeric._frombuffer",
  "numpy.core.multiarray._reconstruct",
  "numpy.core.multiarray.scalar",
  "numpy.core.numeric._frombuffer",
  "numpy.dtype",
  "numpy.ndarray",
  "pathlib.Path",
  "pathlib.PosixPath",
  "pathlib.PurePosixPath",
  "pathlib.WindowsPath",
  "pathlib._local.PosixPath",
  "torch.Size",
  "torch.Tensor",
  "torch.device",
  "torch.nn.parameter.Parameter",
  "torch.jit._pickle.build_boollist",
  "torch.jit._pickle.build_doublelist",
  "torch.jit._pickle.build_intlist",
  "torch.jit._pickle.build_tensorlist",
  ...["__builtin__", "builtins"].flatMap((module) =>
    ["bytearray", "complex", "dict", "float", "frozenset", "int", "list", "range", "set", "slice", "str", "tuple"].map(
      (name) => `${module}.${name}`,
    ),
  ),
];

/** The names that a pickle may use. */
const names: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ...ignoredNames.map((name) => [name, ignore] as const),
  ...dtypes.map(([name, dtype]) => [`torch.${name}`, new StorageType(dtype)] as const),
  ...dtypes.flatMap(([, dtype, storage]) =>
    storage === undefined ? [] : [[`torch.${storage}`, new StorageType(dtype)] as const],
  ),
  ["torch.storage.UntypedStorage", new StorageType(undefined)],
  ["torch.UntypedStorage", new StorageType(undefined)],
  ["collections.OrderedDict", makeDictionary],
  ["collections.defaultdict", makeDictionary],
  ["collections.Counter", makeDictionary],
  ["torch._utils._rebuild_tensor", rebuildTensor],
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  ["torch._utils._rebuild_tensor_v3", rebuildTypedTensor],
  ["torch._utils._rebuild_parameter", rebuildParameter],
  ["torch._utils._rebuild_parameter_with_state", rebuildParameter],
  ["torch._tensor._rebuild_from_type_v2", rebuildWithAttributes],
  ["torch.jit._pickle.restore_type_tag", keepFirst],
]);

function findName(name: string): unknown {
  const known = names.get(name);
  if (known !== undefined) return known;
  if (name.startsWith("__torch__.")) return makeObject;
  throw new PickleError(
    `its pickle names ${quoted(name)}, so it is not a state dictionary (torch.save(model) writes a whole module), and ` +
      "reading it would run code; write it again in Python: torch.save(model.state_dict(), file)",
  );
}

/**
 * Returns every tensor in a tree of dictionaries and objects, by its dotted name. A repeated dictionary is read once.
 */
async function tensorsIn(root: unknown): Promise<NamedTensors> {
  const tensors: [string, PickledTensor][] = [];
  const visited = new Set<PickledDictionary>();
  const waiting: [name: string, value: unknown][] = [["", root]];
  let done = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (++done % sliceValues === 0) await setImmediate();
    const [name, value] = next;
    if (value instanceof PickledTensor) tensors.push([name, value]);
    const dictionary = value instanceof PickledObject ? value.attributes : value;
    if (!(dictionary instanceof PickledDictionary) || visited.has(dictionary)) continue;
    visited.add(dictionary);
    const { entries } = dictionary;
    // The last entry is pushed first, so that names are visited in order.
    for (let index = entries.length - 2; index >= 0; index -= 2) {
      const key = entries[index];
      if (typeof key !== "string" && typeof key !== "number") continue;
      waiting.push([name === "" ? String(key) : `${name}.${key}`, entries[index + 1]]);
    }
    if (waiting.length > mostValues || tensors.length > mostTensors) {
      throw new PickleError(`it holds more than ${mostTensors} tensors`);
    }
  }
  return tensors;
}

/** Returns the tensors that a PyTorch pickle describes, by their dotted names. Throws a {@link PickleError}. */
export async function readStateDictionary(pickle: Buffer): Promise<NamedTensors> {
  return tensorsIn(await unpickle(pickle, { find: findName, persistent: findStorage }));
}
