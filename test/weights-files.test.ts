// What is taken for a model and is none is refused by what it is, and archives and headers by what they get wrong.
import { execFileSync } from "node:child_process";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import t, { type Test } from "tap";
import { openSource } from "../lib/checkpoint/source.ts";
import { hashFile } from "../lib/scoring/fingerprint.ts";
import { copyOf, fixture, temporaryFolder } from "./support/fixtures.ts";
import * as p from "./support/pickles.ts";
import { refuses } from "./support/refusals.ts";
import { shared, skipReason } from "./support/shared.ts";
import { safetensors } from "./support/spoil.ts";

const bin = "pytorch_model.bin";
const config = path.join(fixture("neox-serial"), "config.json");

/** A checkpoint folder that has these files and a config. */
async function folderWith(t: Test, files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = await temporaryFolder(t);
  await copyFile(config, path.join(folder, "config.json"));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
  return folder;
}

const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 5300\n";
for (const [title, content, said] of [
  ["a Git LFS pointer", pointer, "git lfs pull"],
  ["an HTML page", "\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "HTML page"],
  ["JSON", '{\n  "model_type": "gpt_neox"\n}', "folder of the checkpoint"],
  ["GGUF", "GGUF\x03\0\0\0", "GGUF"],
  ["HDF5", Buffer.from("894844460d0a1a0a", "hex"), "HDF5"],
  ["a bare pickle", p.pickle("}"), "torch.save(model.state_dict(), file)"],
] as const) {
  t.test(`${title} in place of weights`, async (t) => {
    for (const [name, code] of [
      [bin, "ARCHIVE_INVALID"],
      ["model.safetensors", "WEIGHTS_INVALID"],
    ] as const) {
      const folder = await folderWith(t, { [name]: content });
      await refuses(t, name, () => openSource(folder), code, name, said);
      await refuses(t, `${name} by its path`, () => openSource(path.join(folder, name)), code, name, said);
    }
  });
}

t.test("weights are known by their first bytes, not their name", async (t) => {
  const folder = await copyOf("neox-old-keys", t);
  const other = path.join(folder, "state.safetensors");
  await copyFile(path.join(folder, bin), other);
  t.equal((await openSource(other)).weights.tensors.length, 49);
  await copyFile(path.join(fixture("neox-serial"), "model.safetensors"), path.join(folder, bin));
  t.equal((await openSource(folder)).weights.tensors.length, 40);
});

const shard = "model-00001-of-00002.safetensors";
for (const [title, files, code, ...said] of [
  [
    "a PEFT adapter",
    { "adapter_config.json": "{}", "adapter_model.safetensors": "" },
    "WEIGHTS_MISSING",
    "merge_and_unload",
  ],
  ["the top of a hub cache", { "snapshots/0a/config.json": "{}", "blobs/1": "" }, "CONFIG_MISSING", "snapshots/<hash>"],
  ["shards without an index", { [shard]: "" }, "WEIGHTS_MISSING", shard, "model.safetensors.index.json"],
  ["an empty folder", {}, "WEIGHTS_MISSING", "found none"],
] as const) {
  t.test(title, async (t) => {
    const folder = await folderWith(t, files);
    await refuses(t, title, () => openSource(folder), code, folder, ...said);
  });
}

t.test("several models of a hub cache", async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(path.join(folder, "models--org--name"));
  await refuses(t, "hub", () => openSource(folder), "CONFIG_MISSING", "models--org--name/snapshots/<hash>");
});

t.test("an index that names what lies elsewhere, or no name", async (t) => {
  const index = "model.safetensors.index.json";
  for (const [name, said] of [
    ["../model.safetensors", "../model.safetensors"],
    ["/etc/passwd", "/etc/passwd"],
    [5, "not text"],
    ["\x1b[2Jx", "\\u001b[2Jx"],
  ] as const) {
    const folder = await folderWith(t, { [index]: JSON.stringify({ weight_map: { tensor: name } }) });
    const code = said.startsWith("\\u") ? "WEIGHTS_MISSING" : "WEIGHTS_INVALID";
    await refuses(t, String(name), () => openSource(folder), code, said);
  }
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_, number) => [`t${number}`, `s${number}`]));
  const folder = await folderWith(t, { [index]: JSON.stringify({ weight_map: many }) });
  await refuses(t, "many", () => openSource(folder), "WEIGHTS_INVALID", "1001 files");
});

t.test("what is no regular file is refused at once", async (t) => {
  const folder = await folderWith(t, {});
  const fifo = path.join(folder, "fifo.pt");
  execFileSync("mkfifo", [fifo]);
  const socket = path.join(folder, "socket.pt");
  const server = createServer().listen(socket);
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => server.close());
  for (const place of [fifo, socket, "/dev/zero", "/dev/null"]) {
    await refuses(t, place, () => openSource(place), "ARCHIVE_INVALID", place);
  }
  await mkdir(path.join(folder, "model.safetensors"));
  await refuses(t, "a folder", () => openSource(folder), "WEIGHTS_INVALID", "not a regular file");
  execFileSync("mkfifo", [path.join(await temporaryFolder(t), "fifo")]);
  const other = await temporaryFolder(t);
  execFileSync("mkfifo", [path.join(other, "config.json")]);
  await refuses(t, "a config", () => openSource(other), "CONFIG_INVALID", "not a regular file");
});

t.test("a config that is too long", async (t) => {
  const folder = await folderWith(t, { "config.json": " ".repeat(2 ** 20 + 1) });
  await refuses(t, "config", () => openSource(folder), "CONFIG_INVALID", "1048576");
});

// Models within models.

const two = shared("bugs", "11-two-models", "ema-model");
t.test("two models in one file", { skip: two ? false : skipReason }, async (t) => {
  const folder = two as string;
  await refuses(t, "no key", () => openSource(folder), "WEIGHTS_AMBIGUOUS", '"ema"', '"model"', "option key");
  await refuses(t, "no such key", () => openSource(folder, { key: "em" }), "INVALID_ARGUMENT", '"ema"', '"em"');
  for (const key of ["ema", "model"]) {
    const { weights } = await openSource(folder, { key });
    t.ok(weights.tensors.length > 10 && weights.tensors.every(({ name }) => name.startsWith(`${key}.`)), key);
  }
});

t.test("a model next to one in a wrapper", async (t) => {
  const one = p.dictionary(p.embedding, p.tensor());
  const state = p.dictionary(
    p.embedding,
    p.tensor(),
    p.text("ema"),
    one,
    p.text("a"),
    p.dictionary(p.text("b"), one, p.text("c"), p.dictionary(p.embedding, p.tensor())),
  );
  const folder = await folderWith(t, {});
  await p.writePickled(folder, p.pickle(state));
  const namesOf = async (key: string) => (await openSource(folder, { key })).weights.tensors.map(({ name }) => name);
  t.same(await namesOf(""), ["gpt_neox.embed_in.weight"], "the plain one");
  t.same(await namesOf("ema"), ["ema.gpt_neox.embed_in.weight"]);
  t.same(await namesOf("a.c"), ["a.c.gpt_neox.embed_in.weight"]);
  await refuses(t, "both", () => namesOf("a"), "WEIGHTS_AMBIGUOUS", '"a.b"', '"a.c"');
});

t.test("heads of training are left out with a notice", async (t) => {
  const head = ["v_head.summary.weight", "v_head.summary.bias", "score.weight", "scores.weight"];
  const items = head.flatMap((name) => [p.text(name), p.tensor()]);
  const folder = await folderWith(t, {});
  await p.writePickled(folder, p.pickle(p.dictionary(p.embedding, p.tensor(), ...items)));
  const { weights, notices } = await openSource(folder);
  t.same(
    weights.tensors.map(({ name }) => name),
    ["gpt_neox.embed_in.weight", "scores.weight"],
  );
  t.same(notices, [
    `left out 2 tensors of the head v_head. in ${folder}`,
    `left out 1 tensor of the head score. in ${folder}`,
  ]);
});

t.test("no model at all says what there is", async (t) => {
  const folder = await folderWith(t, {
    "model.safetensors": safetensors(
      '{"\\u001b[2J.weight":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}',
      Buffer.alloc(4),
    ),
  });
  await refuses(t, "none", () => openSource(folder), "TENSOR_MISSING", "embed_in.weight", '"\\u001b[2J.weight"');
});

// Archives.

const model = p.pickle(p.dictionary(p.embedding, p.tensor()));
const refusesArchive = async (t: Test, title: string, content: Buffer, ...said: string[]) => {
  const folder = await folderWith(t, { [bin]: content });
  await refuses(t, title, () => openSource(folder), "ARCHIVE_INVALID", bin, ...said);
};
const directory = Buffer.from("PK\x01\x02", "latin1");

t.test("archives in other ways of zip", async (t) => {
  for (const [title, records, end] of [
    [
      "zip64",
      p.records(model).map((record) => ({ ...record, options: { forceZip64Format: true } })),
      { forceZip64Format: true },
    ],
    [
      "a deflated pickle",
      p.records(model).map((record, index) => ({ ...record, options: { compress: index === 0 } })),
      undefined,
    ],
    ["a comment", p.records(model), { comment: "made elsewhere" }],
  ] as const) {
    const content = await p.archive(records, end as never);
    const folder = await folderWith(t, { [bin]: content });
    const [tensor] = (await openSource(folder)).weights.tensors;
    // Where the record's name stands before its bytes, and after all else.
    const name = content.lastIndexOf("archive/data/0", content.indexOf(directory));
    const extra = content.readUInt16LE(name - 2);
    t.equal(tensor?.begin, name + "archive/data/0".length + extra, title);
    t.equal((tensor?.end ?? 0) - (tensor?.begin ?? 0), 24, title);
  }
});

t.test("archives that are refused", async (t) => {
  const [pickle, storage] = p.records(model) as [p.Record, p.Record];
  const deflated = { compress: true };
  const archive = p.archive;
  await refusesArchive(
    t,
    "deflated",
    await archive([pickle, { ...storage, options: deflated }]),
    "compressed",
    "torch.load",
  );
  await refusesArchive(t, "twice", await archive([pickle, storage, storage]), "archive/data/0", "twice");
  await refusesArchive(
    t,
    "two pickles",
    await archive([pickle, storage, { ...pickle, name: "b/data.pkl" }]),
    "several",
  );
  await refusesArchive(t, "no pickle", await archive([storage]), "no record data.pkl");
  const order = { name: "archive/byteorder", content: Buffer.from("big") };
  await refusesArchive(t, "big-endian", await archive([pickle, storage, order]), "big-endian");
  const bomb = { ...pickle, content: Buffer.alloc(17 * 2 ** 20), options: deflated };
  await refusesArchive(t, "a bomb", await archive([bomb, storage]), "17825792", "16777216");
  const many = Array.from({ length: 20_001 }, (_, index) => ({
    name: `archive/data/${index}`,
    content: Buffer.alloc(0),
  }));
  await refusesArchive(t, "many records", await archive([pickle, ...many]), "20002 records");
});

t.test("archives whose directory says what is not so", async (t) => {
  const good = await p.archive(p.records(model));
  /** The archive with a field of the second record's entry in the directory changed. */
  const changed = (change: (entry: Buffer) => void) => {
    const content = Buffer.from(good);
    change(content.subarray(content.lastIndexOf(directory)));
    return content;
  };
  const first = good.indexOf("PK\x03\x04", 0, "latin1");
  await refusesArchive(
    t,
    "encrypted",
    changed((entry) => {
      entry.writeUInt16LE(entry.readUInt16LE(8) | 1, 8);
      // Its key stands before the bytes.
      entry.writeUInt32LE(entry.readUInt32LE(20) - 12, 24);
    }),
    "encrypted",
  );
  await refusesArchive(
    t,
    "overlap",
    changed((entry) => entry.writeUInt32LE(first, 42)),
    "overlaps the next",
  );
  const larger = changed((entry) => {
    entry.writeUInt32LE(2 ** 31, 20);
    entry.writeUInt32LE(2 ** 31, 24);
  });
  await refusesArchive(t, "a size beyond the file", larger, "overlaps the next");
  await refusesArchive(
    t,
    "an offset beyond the file",
    changed((entry) => entry.writeUInt32LE(2 ** 31, 42)),
    "overlaps the next",
  );
  await refusesArchive(
    t,
    "a record inside another",
    changed((entry) => entry.writeUInt32LE(entry.readUInt32LE(42) + 1, 42)),
    "header",
  );
  const name = Buffer.from(good);
  name.write("archive/data/1", name.lastIndexOf("archive/data/0", name.indexOf(directory)));
  await refusesArchive(t, "another name", name, "disagree");
  const count = Buffer.from(good);
  const end = count.lastIndexOf("PK\x05\x06", undefined, "latin1");
  count.writeUInt16LE(60_000, end + 8);
  count.writeUInt16LE(60_000, end + 10);
  await refusesArchive(t, "a count of records that are not there", count, "60000 records");
});

t.test("extra files of an archive are read where the package wrote them, and no longer than they may be", async (t) => {
  const mark = { name: "archive/extra/attention-bypass.json", content: Buffer.from("{}") };
  const own = { name: "archive/extra/config.json", content: await readFile(config) };
  const huge = { name: "archive/extra/config.json", content: Buffer.alloc(2 ** 21), options: { compress: true } };
  const other = { name: "archive/extra/notes.txt", content: Buffer.alloc(2 ** 25), options: { compress: true } };
  const folder = await folderWith(t, {});
  const place = path.join(folder, "model.pt");
  const open = async (...extra: p.Record[]) => {
    await writeFile(place, await p.archive([...p.records(model), ...extra]));
    return openSource(place);
  };
  t.equal((await open(mark, own, other)).configText, own.content.toString());
  t.match(await open(huge), { weights: { tensors: [{}] } }, "somebody else's");
  await refuses(t, "too long", () => open(mark, huge), "ARCHIVE_INVALID", "2097152", "1048576");
});

const bomb = shared("hostile", "zip-bomb-extra-500MiB");
t.test("archives that were built to attack", { skip: bomb ? false : skipReason }, async (t) => {
  t.equal((await openSource(bomb as string)).weights.tensors.length, 49, "what is not read is not inflated");
  const deflated = path.join(bomb as string, "..", "bin-deflated");
  await refuses(t, "deflated", () => openSource(deflated), "ARCHIVE_INVALID", "compressed");
  for (const name of ["traced-loop", "traced-wild", "traced-raises", "traced-prints", "torchscript-deep-paren-20000"]) {
    const folder = path.join(bomb as string, "..", name);
    const { traced, weights } = await openSource(folder);
    t.same([traced, weights.tensors.length], [path.join(folder, "model.pt"), 42], name);
  }
});

// Headers of safetensors.

const row = (shape: readonly number[], from: number, to: number, dtype = "F32") =>
  JSON.stringify({ dtype, shape, data_offsets: [from, to] });
const anchor = '"gpt_neox.embed_in.weight"';
const header = (first: string, ...rest: [name: string, row: string][]) =>
  `{${anchor}:${first}${rest.map(([name, row]) => `,${JSON.stringify(name)}:${row}`).join("")}}`;

t.test("names of Object.prototype in a header are names like any other", async (t) => {
  const names = ["__proto__", "constructor", "toString"];
  const rows = names.map((name, index) => [name, row([1], 4 * index + 4, 4 * index + 8)] as [string, string]);
  const content = safetensors(header(row([1], 0, 4), ...rows), Buffer.alloc(16));
  const folder = await folderWith(t, { "model.safetensors": content });
  t.same(
    (await openSource(folder)).weights.tensors.map(({ name }) => name),
    ["gpt_neox.embed_in.weight", ...names],
  );
});

for (const [title, text, code, said] of [
  [
    "a name twice",
    `{${anchor}:${row([1], 0, 4)},"gpt_neox.embed\\u005fin.weight":${row([2], 0, 8)}}`,
    "WEIGHTS_INVALID",
    "repeated",
  ],
  ["a hole", header(row([1], 4, 8)), "WEIGHTS_INVALID", "at 0"],
  ["an overlap", header(row([2], 0, 8), ["b", row([2], 4, 12)]), "WEIGHTS_INVALID", '"b"'],
  ["one place for two", header(row([2], 0, 8), ["b", row([2], 0, 8)]), "WEIGHTS_INVALID", "begin"],
  ["bytes after the last tensor", header(row([1], 0, 4)), "WEIGHTS_INVALID", "end with its tensors"],
  ["offsets in the wrong order", header(row([1], 4, 0)), "TENSOR_SHAPE", "-4"],
  ["more bytes than its shape", header(row([1], 0, 8)), "TENSOR_SHAPE", "the 4 bytes"],
  ["a tensor beyond the end", header(row([4], 0, 16)), "WEIGHTS_TRUNCATED", "ends at"],
  ["9 axes", header(row(Array(9).fill(1), 0, 4)), "TENSOR_SHAPE", "8 axes"],
  ["100,000 axes", header(row(Array(100_000).fill(1), 0, 4)), "TENSOR_SHAPE", "100000"],
  ["an unknown dtype", header(row([1], 0, 4, "F\u001b[2J")), "TENSOR_DTYPE", '"F\\u001b[2J"'],
  ["a long name", header(row([1], 0, 4), ["x".repeat(513), row([1], 4, 8)]), "WEIGHTS_INVALID", "513"],
  ["a fraction", header(row([0.5], 0, 2)), "WEIGHTS_INVALID", "0.5"],
] as const) {
  t.test(`a safetensors header with ${title}`, async (t) => {
    const folder = await folderWith(t, { "model.safetensors": safetensors(text, Buffer.alloc(12)) });
    await refuses(t, title, () => openSource(folder), code, said, "model.safetensors");
  });
}

t.test("a header of many tensors", async (t) => {
  const rows = Array.from({ length: 100_001 }, (_, index) => [`${index}`, row([0], 0, 0)] as [string, string]);
  const folder = await folderWith(t, { "model.safetensors": safetensors(header(row([0], 0, 0), ...rows)) });
  await refuses(t, "many", () => openSource(folder), "WEIGHTS_INVALID", "100002");
});

const hostile = shared("hostile");
t.test("headers that were built to attack", { skip: hostile ? false : skipReason }, async (t) => {
  for (const [name, code, said] of [
    ["name-30000", "WEIGHTS_INVALID", "30009"],
    ["safetensors-dims", "TENSOR_SHAPE", "100000"],
    ["safetensors-terminal", "WEIGHTS_INVALID", "\\u001b]0;owned\\u0007"],
  ] as const) {
    await refuses(t, name, () => openSource(path.join(hostile as string, name)), code, said);
  }
});

t.test("the hash of a file that has changed since", async (t) => {
  const folder = await copyOf("neox-serial", t);
  const [file] = (await openSource(folder)).weights.files;
  if (file === undefined) return t.fail("no file");
  const sum = execFileSync("sha256sum", [file.path], { encoding: "utf8" }).split(" ")[0];
  t.same(await hashFile(file, undefined), { name: "model.safetensors", sha256: sum });
  const bytes = await readFile(file.path);
  await writeFile(file.path, bytes);
  await refuses(t, "changed", () => hashFile(file, undefined), "WEIGHTS_CHANGED", file.path);
});
