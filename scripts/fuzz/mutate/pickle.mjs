// Pickles as lists of operations, of which some change, move, come or go. What comes out is mostly a pickle still, so
// that an unpickler gets to work on it.
import { names, numbers } from "../values.mjs";
import { mutateBytes } from "./bytes.mjs";

const line = Symbol("a line");
const twoLines = Symbol("two lines");
/** The arguments of operations: a number of bytes, lines, or the width of the length that stands before them. */
const operations = new Map([
  ...[..."(.012NQRabdlopstue)}]"].map((code) => [code, 0]),
  ...[..."FILSVgpPi"].map((code) => [code, code === "i" ? twoLines : line]),
  ["c", twoLines],
  ...[..."hqK"].map((code) => [code, 1]),
  ["M", 2],
  ...[..."Jjr"].map((code) => [code, 4]),
  ["G", 8],
  ["T", { width: 4 }],
  ["U", { width: 1 }],
  ["X", { width: 4 }],
  ["B", { width: 4 }],
  ["C", { width: 1 }],
  ["\x80", 1],
  ...[
    "\x81",
    "\x85",
    "\x86",
    "\x87",
    "\x88",
    "\x89",
    "\x8f",
    "\x90",
    "\x91",
    "\x92",
    "\x93",
    "\x94",
    "\x97",
    "\x98",
  ].map((code) => [code, 0]),
  ["\x82", 1],
  ["\x83", 2],
  ["\x84", 4],
  ["\x8a", { width: 1 }],
  ["\x8b", { width: 4 }],
  ["\x8c", { width: 1 }],
  ["\x8d", { width: 8 }],
  ["\x8e", { width: 8 }],
  ["\x95", 8],
  ["\x96", { width: 8 }],
]);
const plain = [...operations].filter(([, argument]) => argument === 0).map(([code]) => code);

function lengthOf(bytes, at, argument) {
  if (typeof argument === "number") return argument;
  if (argument === line) return bytes.indexOf(10, at) + 1 - at;
  if (argument === twoLines) return bytes.indexOf(10, bytes.indexOf(10, at) + 1) + 1 - at;
  if (argument.width === 8) return 8 + Number(bytes.readBigUInt64LE(at));
  return argument.width + bytes.readUIntLE(at, argument.width);
}

/** Undefined where it is none. */
function operationsOf(bytes) {
  const list = [];
  try {
    for (let at = 0; at < bytes.length; ) {
      const argument = operations.get(String.fromCharCode(bytes[at]));
      if (argument === undefined) return undefined;
      const end = at + 1 + lengthOf(bytes, at + 1, argument);
      if (end <= at || end > bytes.length) return undefined;
      list.push(bytes.subarray(at, end));
      at = end;
    }
  } catch {
    return undefined;
  }
  return list;
}

const modules = [
  "torch",
  "torch._utils",
  "collections",
  "builtins",
  "os",
  "posix",
  "__builtin__",
  "__torch__",
  "numpy",
  "copyreg",
  "_codecs",
  "functools",
  "torch.nn.parameter",
];
const attributes = [
  "OrderedDict",
  "_rebuild_tensor_v2",
  "_rebuild_parameter",
  "FloatStorage",
  "DoubleStorage",
  "BoolStorage",
  "eval",
  "exec",
  "getattr",
  "system",
  "_reconstructor",
  "encode",
  "partial",
  "Parameter",
  "Size",
  "dtype",
  "__proto__",
  "constructor",
  "__class__",
  "hasOwnProperty",
];

const named = (random) => [
  random.pick(random.chance(0.8) ? modules : names),
  random.pick(random.chance(0.8) ? attributes : names),
];

function word(content) {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([Buffer.from("X"), length, bytes]);
}

function integer(value) {
  const field = Buffer.alloc(8);
  field.writeBigInt64LE(BigInt.asIntN(64, BigInt(Math.trunc(value))));
  return Buffer.concat([Buffer.from([0x8a, 8]), field]);
}

const made = {
  plain: (random) => Buffer.from(random.pick(plain), "latin1"),
  global: (random) => Buffer.from(`c${named(random).join("\n")}\n`),
  instance: (random) => Buffer.from(`(i${named(random).join("\n")}\n`),
  stackGlobal: (random) => Buffer.concat([...named(random).map(word), Buffer.from([0x93])]),
  reduce: (random) =>
    Buffer.concat([made.global(random), Buffer.from("("), word("globalThis.ran = 1"), Buffer.from("tR")]),
  memo: (random) => Buffer.from([random.pick([0x68, 0x71]), random.below(256)]),
  longMemo(random) {
    const field = Buffer.alloc(5);
    field.write(random.pick(["j", "r"]));
    field.writeUInt32LE(Math.trunc(random.share() ** 8 * 0xffff_ffff), 1);
    return field;
  },
  word: (random) => word(random.pick(names)),
  integer: (random) => integer(random.pick(numbers)),
  manyMarks: (random) => Buffer.from(random.pick(["(", "]", "}", "2", "0", "]a"]).repeat(random.pick([1000, 100_000]))),
};

const isGlobal = (operation) => operation[0] === 0x63;
const isWord = (operation) => operation[0] === 0x58;
const isNumber = (operation) => [0x4b, 0x4d, 0x4a, 0x8a].includes(operation[0]);

function replaceOne(list, random, applies, replacement) {
  const places = list.flatMap((operation, index) => (applies(operation) ? [index] : []));
  if (places.length > 0) list[random.pick(places)] = replacement();
}

const ways = [
  (list, random) => replaceOne(list, random, isNumber, () => made.integer(random)),
  (list, random) => replaceOne(list, random, isNumber, () => made.integer(random)),
  (list, random) => replaceOne(list, random, isGlobal, () => made.global(random)),
  (list, random) => replaceOne(list, random, isWord, () => made.word(random)),
  (list, random) => list.splice(random.below(list.length), random.small(8)),
  (list, random) => list.splice(random.below(list.length), 0, random.pick(Object.values(made))(random)),
  (list, random) => list.splice(random.below(list.length), 0, random.pick(Object.values(made))(random)),
  (list, random) => {
    const begin = random.below(list.length);
    list.splice(random.below(list.length), 0, ...list.slice(begin, begin + random.small(40)));
  },
  (list, random) => {
    list[random.below(list.length)] = random.pick(list);
  },
];

export function mutatePickle(bytes, random) {
  const list = random.chance(0.1) ? undefined : operationsOf(bytes);
  if (list === undefined) return mutateBytes(bytes, random);
  for (let count = random.small(5); count > 0; count--) {
    if (list.length > 0) random.pick(ways)(list, random);
  }
  return Buffer.concat(list);
}
