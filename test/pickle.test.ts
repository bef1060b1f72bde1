// Pickles are read as torch.load reads them where they hold a state dictionary, and otherwise refused; nothing in one is
// run, and nothing in one takes long.
import { copyFile, readFile } from "node:fs/promises";
import path from "node:path";
import t, { type Test } from "tap";
import type { NativeTensor } from "../lib/addon/native.ts";
import { openSource } from "../lib/checkpoint/source.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import * as p from "./support/pickles.ts";
import { noPython, python, reference } from "./support/python.ts";
import { refuses } from "./support/refusals.ts";
import { shared, skipReason } from "./support/shared.ts";

const elementBytes: Record<string, number> = { F64: 8, I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2, I16: 2, U16: 2 };

async function emptyCheckpoint(t: Test): Promise<string> {
  const folder = await temporaryFolder(t);
  await copyFile(path.join(fixture("neox-serial"), "config.json"), path.join(folder, "config.json"));
  return folder;
}

/** The bytes of a tensor, row by row. */
function content(file: Buffer, { dtype, shape, strides, begin, end }: NativeTensor): string {
  const size = elementBytes[dtype] ?? 1;
  let places = [begin];
  for (const [axis, length] of shape.entries()) {
    places = places.flatMap((place) =>
      Array.from({ length }, (_, index) => place + index * size * (strides[axis] as number)),
    );
  }
  if (places.some((place) => place + size > end)) return "beyond its end";
  return Buffer.concat(places.map((place) => file.subarray(place, place + size))).toString("hex");
}

const interpreter = python();
t.test("what Python writes", { skip: interpreter ? false : noPython }, async (t) => {
  type Described = Record<string, { dtype: string; shape: number[]; bytes: string }>;
  const folder = await emptyCheckpoint(t);
  const files = await reference<Record<string, Described>>(interpreter as string, "pickles.py", [folder]);
  t.equal(Object.keys(files).length, 14);
  for (const [name, expected] of Object.entries(files)) {
    const place = path.join(folder, name);
    const { weights, traced } = await openSource(place);
    const bytes = await readFile(place);
    const found = weights.tensors.map((tensor) => [
      tensor.name,
      { dtype: tensor.dtype, shape: tensor.shape, bytes: content(bytes, tensor) },
    ]);
    // A model in a wrapper is told from what stands next to it.
    t.same(Object.fromEntries(found), expected, name);
    t.equal(traced, name.endsWith(".pt") ? place : undefined, `${name}: TorchScript`);
  }
  for (const [name, ...said] of [
    ["module.bin", "__main__.Outer", "state_dict()"],
    ["sparse.bin", "torch._utils._rebuild_sparse_tensor"],
    ["legacy.bin", "before 1.6", "torch.save(torch.load(file), file)"],
  ] as const) {
    await refuses(t, name, () => openSource(path.join(folder, name)), "ARCHIVE_INVALID", name, ...said);
  }
});

const model = p.dictionary(p.embedding, p.tensor());

t.test("a pickle made here", async (t) => {
  const folder = await emptyCheckpoint(t);
  await p.writePickled(folder, p.pickle(model));
  const { weights } = await openSource(folder);
  t.match(weights.tensors, [{ name: "gpt_neox.embed_in.weight", dtype: "F32", shape: [2, 3], strides: [3, 1] }]);
  const [{ begin = 0, end = 0 } = {}] = weights.tensors;
  t.equal(end - begin, 24);
});

t.test("names that a pickle may not have", async (t) => {
  const folder = await emptyCheckpoint(t);
  for (const [module, name] of [
    ["torch", "__proto__"],
    ["torch", "constructor"],
    ["torch", "__defineGetter__"],
    ["__proto__", "__proto__"],
    ["constructor", "constructor"],
    ["", ""],
    ["os", "system"],
    ["builtins", "eval"],
    ["__builtin__", "getattr"],
    ["torch", "load"],
    ["torch.FloatStorage", "__init__"],
    ["__torch__x", "Class"],
    ["\x1b[2J", "31m"],
  ] as const) {
    const shown = JSON.stringify(`${module}.${name}`);
    const args = p.text("globalThis.codeFromAPickleRan = true");
    const ways = [
      p.call(module, name, args),
      p.join(p.text(module), p.text(name), p.bytes(0x93), p.tuple(args), p.bytes(0x81)),
    ];
    for (const way of ways) {
      await p.writePickled(folder, p.pickle(p.dictionary(p.embedding, p.tensor(), p.text("more"), way)));
      await refuses(t, shown, () => openSource(folder), "ARCHIVE_INVALID", shown, "pytorch_model.bin");
    }
  }
  t.notOk("codeFromAPickleRan" in globalThis);
});

t.test("keys that are names of Object.prototype are keys like any other", async (t) => {
  const folder = await emptyCheckpoint(t);
  const before = Object.getOwnPropertyNames(Object.prototype).sort();
  const names = ["__proto__", "constructor", "then", "toString", "hasOwnProperty"];
  const items = names.flatMap((name) => [p.text(name), p.tensor()]);
  const state = p.dictionary(...names.flatMap((name) => [p.text(name), p.text("x")]));
  const object = p.join(p.global("__torch__", "Class"), ")", p.bytes(0x81), p.dictionary(p.embedding, p.tensor()), "b");
  await p.writePickled(
    folder,
    p.pickle(p.dictionary(p.text("model"), p.dictionary(p.embedding, p.tensor(), ...items))),
  );
  t.same(
    (await openSource(folder)).weights.tensors.map(({ name }) => name),
    ["gpt_neox.embed_in.weight", ...names].map((name) => `model.${name}`),
  );
  await p.writePickled(folder, p.pickle(object, state, "b"));
  await refuses(t, "attributes", () => openSource(folder), "TENSOR_MISSING", "embed_in.weight");
  t.same(Object.getOwnPropertyNames(Object.prototype).sort(), before);
});

const dimensions = (count: number) => ({ shape: Array(count).fill(1), strides: Array(count).fill(1) });
for (const [title, layout, code, said] of [
  ["no strides", { strides: [] }, "TENSOR_SHAPE", "2 axes"],
  ["too few strides", { strides: [1] }, "TENSOR_SHAPE", "2 axes"],
  ["too many strides", { strides: [3, 1, 1] }, "TENSOR_SHAPE", "2 axes"],
  ["a stride of 0", { strides: [0, 1] }, "TENSOR_SHAPE", "[0, 1]"],
  ["rows that overlap", { strides: [2, 1] }, "TENSOR_SHAPE", "[2, 1]"],
  ["axes that overlap", { shape: [2, 2], strides: [1, 1] }, "TENSOR_SHAPE", "[1, 1]"],
  ["more than its storage", { shape: [2, 4], strides: [4, 1] }, "TENSOR_SHAPE", "6 elements"],
  ["an offset beyond its storage", { offset: 1 }, "TENSOR_SHAPE", "5 elements"],
  ["a storage that says to be smaller", { size: 5 }, "TENSOR_SHAPE", "5 elements"],
  ["a storage that says to be larger", { shape: [9], strides: [1], size: 9 }, "TENSOR_SHAPE", "6 elements"],
  ["a great offset", { offset: 2 ** 53 - 1 }, "TENSOR_SHAPE", "elements"],
  ["a great stride", { strides: [2 ** 53 - 1, 1] }, "TENSOR_SHAPE", "9007199254740991"],
  ["a great shape", { shape: [2 ** 40, 2 ** 40], strides: [2 ** 40, 1] }, "TENSOR_SHAPE", "1099511627776"],
  ["a shape of nothing times much", { shape: [2 ** 40, 2 ** 40, 0], strides: [1, 1, 1] }, "TENSOR_SHAPE", "shape"],
  ["a negative size", { shape: [-1, 3] }, "ARCHIVE_INVALID", "description of a tensor"],
  ["9 axes", dimensions(9), "TENSOR_SHAPE", "8 axes"],
  ["10,000 axes", dimensions(10_000), "ARCHIVE_INVALID", "description of a tensor"],
  ["a record that is not there", { key: "1" }, "ARCHIVE_INVALID", "archive/data/1"],
  ["a record elsewhere", { key: "../data.pkl" }, "ARCHIVE_INVALID", "../data.pkl"],
] as const) {
  t.test(`a tensor with ${title}`, async (t) => {
    const folder = await emptyCheckpoint(t);
    await p.writePickled(folder, p.pickle(p.dictionary(p.embedding, p.tensor(layout))));
    await refuses(t, title, () => openSource(folder), code, said);
  });
}

t.test("a transposed tensor, and one of an odd stride along an axis of 1", async (t) => {
  const folder = await emptyCheckpoint(t);
  for (const layout of [
    { shape: [3, 2], strides: [1, 3] },
    { shape: [1, 6], strides: [0, 1] },
    { shape: [0, 3], strides: [3, 1] },
    { shape: [], strides: [], offset: 5 },
  ]) {
    await p.writePickled(folder, p.pickle(p.dictionary(p.embedding, p.tensor(layout))));
    t.match((await openSource(folder)).weights.tensors, [{ shape: layout.shape, strides: layout.strides }]);
  }
});

t.test("cycles, and dictionaries shared 40 deep", async (t) => {
  const folder = await emptyCheckpoint(t);
  const cycle = p.join("}", p.remember(0), p.text("self"), p.recall(0), "s", p.embedding, p.tensor(), "s");
  await p.writePickled(folder, p.pickle(cycle));
  t.same((await openSource(folder)).weights.tensors.length, 1, "a cycle");
  const layers = Array.from({ length: 40 }, (_, layer) => {
    const below = p.recall(layer);
    return p.join(p.dictionary(p.text("a"), below, p.text("b"), below), p.remember(layer + 1));
  });
  const items = layers.map((layer, index) => p.join(p.text(`layer${index}`), layer));
  const lowest = p.join(p.dictionary(p.text("weight"), p.tensor()), p.remember(0));
  await p.writePickled(folder, p.pickle(p.dictionary(p.text("lowest"), lowest, ...items, p.embedding, p.tensor())));
  t.same((await openSource(folder)).weights.tensors.length, 2, "shared");
});

const many = (count: number, ...parts: (Buffer | string)[]) => Buffer.concat(Array(count).fill(p.join(...parts)));
for (const [title, content, said] of [
  ["of many values at once", p.join(many(200_000, "N"), "t"), "100000 values"],
  ["of marks", many(2000, "("), "1000 collections"],
  ["of many operations", p.join("]", many(1_200_000, "Na")), "2000000 operations"],
  ["that is too long", p.join("B", p.uint32(2 ** 24), Buffer.alloc(2 ** 24)), "16777216"],
  ["of a string that is too long", p.text("x".repeat(2 ** 20 + 1)), "1048576"],
  ["of a string beyond its end", p.join("X", p.uint32(2 ** 20)), "cut off"],
  ["of bytes beyond its end", p.join(p.bytes(0x8e), Buffer.alloc(8, 0xff)), "cut off"],
  ["of a far memo", p.join("}", p.remember(2 ** 32 - 1)), "4294967295"],
  ["that recalls what is not kept", p.join(p.recall(7)), "value 7"],
  ["that takes from an empty stack", p.join("R"), "empty stack"],
  ["that takes from before a mark", p.join("}(", p.bytes(0x86)), "empty stack"],
  ["without a mark", p.join("t"), "not begun"],
  ["of two values", p.join("NN"), "leaves values on the stack"],
  ["of protocol 0's operations", "S'text'\n", "operation 83"],
  ["of an unknown operation", p.bytes(0xff), "operation 255"],
  ["of an unknown protocol", p.bytes(0x80, 6), "protocol 6"],
  ["that calls a string", p.join(p.text("x"), p.tuple(), "R"), "not a function"],
  ["that calls a tensor", p.join(p.tensor(), p.tuple(), "R"), "not a function"],
  ["that calls without a tuple", p.join(p.global("torch._utils", "_rebuild_tensor"), "NR"), "without arguments"],
  ["that builds a string", p.join(p.text("x"), "}b"), "attributes"],
  ["that builds a function", p.join(p.global("torch._utils", "_rebuild_tensor"), "}b"), "attributes"],
  ["that appends to a dictionary", p.join("}Na"), "not a list"],
  ["that sets items of a tuple", p.join(p.tuple(), "NNs"), "not a dictionary"],
  ["of a key without a value", p.join("}(Nu"), "without a value"],
  ["of a storage that is none", p.join(p.tuple(p.text("storage")), "Q"), "a storage"],
  ["of a string that is not UTF-8", p.join("X", p.uint32(1), p.bytes(0xff)), "UTF-8"],
] as const) {
  t.test(`a pickle ${title}`, async (t) => {
    const folder = await emptyCheckpoint(t);
    await p.writePickled(folder, p.pickle(content));
    await refuses(t, title, () => openSource(folder), "ARCHIVE_INVALID", said, "pytorch_model.bin");
  });
}

t.test("a long pickle leaves the event loop its turns", async (t) => {
  const folder = await emptyCheckpoint(t);
  // A million operations: lists of nothing, next to the model.
  const lists = many(250_000, "]Na", "a");
  await p.writePickled(folder, p.pickle(p.dictionary(p.embedding, p.tensor(), p.text("lists"), p.join("]", lists))));
  let turns = 0;
  const count = () => {
    turns++;
    turning = setImmediate(count);
  };
  let turning = setImmediate(count);
  await openSource(folder);
  clearImmediate(turning);
  t.ok(turns >= 90, `${turns} turns`);
});

const hostile = shared("hostile");
t.test("pickles that were built to attack", { skip: hostile ? false : skipReason }, async (t) => {
  const before = Object.getOwnPropertyNames(Object.prototype).sort();
  for (const [name, code, said] of [
    ["pickle-code", "ARCHIVE_INVALID", "torch.__proto__"],
    ["pickle-pollution", "ARCHIVE_INVALID", "torch.__proto__"],
    ["pickle-then", "ARCHIVE_INVALID", "torch.__proto__"],
    ["pickle-cycle", "ARCHIVE_INVALID", "operation 48"],
    ["pickle-shared-40", "ARCHIVE_INVALID", "operation 48"],
    ["pickle-strides-empty", "ARCHIVE_INVALID", "operation 48"],
    ["pickle-strides-short", "TENSOR_SHAPE", "2 axes"],
  ] as const) {
    await refuses(t, name, () => openSource(path.join(hostile as string, name)), code, said);
  }
  t.notOk("codeFromAPickleRan" in globalThis);
  t.same(Object.getOwnPropertyNames(Object.prototype).sort(), before);
});
