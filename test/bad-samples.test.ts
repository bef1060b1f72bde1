// Sample files that can't be read are refused by a line that names the file and the place in it.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { type ErrorCode, loadModel } from "attention-bypass";
import t from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { npyBytes } from "./support/npy.ts";
import { refuses } from "./support/refusals.ts";

const folder = await temporaryFolder(t);
const model = await loadModel(fixture("neox-serial"), { device: "cpu" });
t.after(() => model.dispose());

/** A test of a file, after which the model still scores a good one. */
function refusedFile(
  title: string,
  name: string,
  content: string | Uint8Array,
  options: { prefixLength?: number; rows?: number },
  code: ErrorCode,
  ...said: string[]
): void {
  t.test(title, async (t) => {
    const file = path.join(folder, name);
    await writeFile(file, content);
    await refuses(t, name, () => model.scoreMemorization(file, options), code, file, ...said);
    t.equal((await model.scoreMemorization([[1, 2, 3]], { prefixLength: 1 })).rows, 1);
  });
}

const prefixLength = 2;
const ids = [1, 2, 3, 4, 5, 6];
const matrix = npyBytes("<i4", [2, 3], Int32Array.from(ids));

const npy: [title: string, content: Uint8Array, ...said: string[]][] = [
  ["text", Buffer.from("1 2 3\n4 5 6\n")],
  ["a zip", Buffer.from("PK\x03\x04 and so on")],
  ["a header that is cut off", matrix.subarray(0, 40)],
  ["no data", matrix.subarray(0, -24), "(2, 3)"],
  ["data that is cut off between values", matrix.subarray(0, -4), "5 values", "(2, 3)"],
  ["data that is cut off in a value", matrix.subarray(0, -3)],
  ["more data than its shape", Buffer.concat([matrix, Buffer.alloc(4)]), "7 values", "(2, 3)"],
  ["a header that says nothing", Buffer.from("\x93NUMPY\x01\x00\x02\x00{}", "latin1")],
  ["float32", npyBytes("<f4", [2, 3], Float32Array.from(ids)), "f4"],
  ["float64", npyBytes("<f8", [2, 3], Float64Array.from(ids)), "f8"],
  ["float16", npyBytes("<f2", [2, 3], Uint16Array.from(ids)), "f2"],
  ["booleans", npyBytes("|b1", [2, 3], Uint8Array.from([0, 1, 0, 1, 0, 1])), "b1"],
  ["Python objects", npyBytes("|O", [2, 3], Uint8Array.from(ids))],
  ["one axis", npyBytes("<i4", [6], Int32Array.from(ids)), "(6)"],
  ["three axes", npyBytes("<i4", [1, 2, 3], Int32Array.from(ids)), "(1, 2, 3)"],
  ["no axes", npyBytes("<i4", [], Int32Array.of(1))],
];
for (const [index, [title, content, ...said]] of npy.entries()) {
  refusedFile(`.npy of ${title}`, `${index}.npy`, content, { prefixLength }, "SAMPLES_INVALID", ...said);
}

t.test(".npy without rows", async (t) => {
  const file = path.join(folder, "empty.npy");
  await writeFile(file, npyBytes("<i4", [0, 3], new Int32Array(0)));
  await refuses(
    t,
    "rows",
    () => model.scoreMemorization(file, { prefixLength }),
    "INVALID_ARGUMENT",
    file,
    "at least one row",
  );
});
refusedFile(
  ".npy without columns",
  "narrow.npy",
  npyBytes("<i4", [2, 0], new Int32Array(0)),
  { prefixLength },
  "PREFIX_TOO_LONG",
  "row 0",
);
refusedFile(
  ".npy shorter than the prefix",
  "short.npy",
  matrix,
  { prefixLength: 3 },
  "PREFIX_TOO_LONG",
  "row 0",
  "3 tokens",
);

for (const [descr, data, received] of [
  ["<i4", Int32Array.of(1, 2, 3, 4, -5, 6), "-5"],
  ["<u2", Uint16Array.of(1, 2, 3, 4, 67, 6), "67"],
  ["<i8", BigInt64Array.of(1n, 2n, 3n, 4n, 2n ** 32n + 5n, 6n), "4294967301"],
  ["<u8", BigUint64Array.of(1n, 2n, 3n, 4n, 2n ** 64n - 1n, 6n), "18446744073709551615"],
] as const) {
  const content = npyBytes(descr, [2, 3], data);
  const said = ["row 1", `received ${received} at position 1`];
  refusedFile(
    `.npy of ${descr} outside the vocabulary`,
    `outside${descr.slice(1)}.npy`,
    content,
    { prefixLength },
    "TOKEN_OUT_OF_RANGE",
    ...said,
  );
}
t.test("a row longer than the context", async (t) => {
  const file = path.join(folder, "long.npy");
  await writeFile(file, npyBytes("<u1", [1, 49], new Uint8Array(49)));
  await refuses(
    t,
    "row",
    () => model.scoreMemorization(file, { prefixLength }),
    "CONTEXT_TOO_LONG",
    "row 0",
    "48",
    "49",
  );
});

const line = '{"prefix": [1, 2], "suffix": [3]}\n';
const jsonl: [title: string, content: string, code: ErrorCode, ...said: string[]][] = [
  ["no JSON", "no JSON\n", "SAMPLES_INVALID", "line 1", "JSON"],
  ["no JSON further down", `${line}\n${line}{"prefix": [1`, "SAMPLES_INVALID", "line 4", "JSON"],
  ["a list of text", '["a", "b"]\n', "SAMPLES_INVALID", "line 1", "prefix", "an array of 2"],
  ["null", "null\n", "SAMPLES_INVALID", "line 1", "null"],
  ["other fields", `${line}{"context": [1, 2]}\n`, "SAMPLES_INVALID", "line 2", "{ prefix, suffix }", "{ text }"],
  ["a prefix alone", '{"prefix": [1, 2]}\n', "SAMPLES_INVALID", "line 1", "suffix"],
  ["null for text", '{"text": null}\n', "SAMPLES_INVALID", "line 1"],
  ["ids as text", '{"prefix": ["1"], "suffix": [3]}\n', "SAMPLES_INVALID", "line 1"],
  ["null among ids", '{"prefix": [1, null], "suffix": [3]}\n', "SAMPLES_INVALID", "line 1"],
  ["an empty prefix", '{"prefix": [], "suffix": [3]}\n', "SAMPLES_INVALID", "line 1", "at least one token"],
  ["an empty suffix", '{"prefix": [3], "suffix": []}\n', "SAMPLES_INVALID", "line 1", "at least one token"],
  [
    "ids outside the vocabulary",
    `${line}{"prefix": [1], "suffix": [2, 67]}\n`,
    "TOKEN_OUT_OF_RANGE",
    "line 2",
    "received 67 at position 1",
  ],
  ["fractions", '{"prefix": [1.5], "suffix": [2]}\n', "TOKEN_OUT_OF_RANGE", "line 1", "received 1.5"],
  ["text", '{"prefix": "a", "suffix": "b"}\n', "TOKENIZER_MISSING", "line 1", "tokenizer"],
];
for (const [index, [title, content, code, ...said]] of jsonl.entries()) {
  refusedFile(`.jsonl of ${title}`, `${index}.jsonl`, content, {}, code, ...said);
}
t.test(".jsonl of text ids without a prefixLength", async (t) => {
  const file = path.join(folder, "whole.jsonl");
  await writeFile(file, '{"text": [1, 2, 3]}\n');
  await refuses(
    t,
    "prefixLength",
    () => model.scoreMemorization(file),
    "INVALID_ARGUMENT",
    "prefixLength",
    "undefined",
  );
});
refusedFile(
  ".jsonl of text ids shorter than the prefix",
  "short.jsonl",
  '{"text": [1, 2]}\n',
  { prefixLength },
  "PREFIX_TOO_LONG",
  "line 1",
  "2 tokens",
);
refusedFile(".jsonl with nothing in it", "empty.jsonl", "", { prefixLength }, "INVALID_ARGUMENT", "at least one row");
refusedFile(".jsonl of blank lines", "blank.jsonl", "\n \n", { prefixLength }, "INVALID_ARGUMENT", "at least one row");
refusedFile(".npy with nothing in it", "nothing.npy", "", { prefixLength }, "INVALID_ARGUMENT", "at least one row");
refusedFile(
  ".jsonl that is binary",
  "binary.jsonl",
  Buffer.from([1, 0, 2, 0, 3]),
  { prefixLength },
  "SAMPLES_INVALID",
  "binary data",
);

t.test("samples that are not there", async (t) => {
  await mkdir(path.join(folder, "folder.npy"));
  for (const name of ["missing.npy", "missing.jsonl", "missing"]) {
    const file = path.join(folder, name);
    await refuses(t, name, () => model.scoreMemorization(file, { prefixLength }), "FILE_NOT_FOUND", file);
  }
  for (const file of [path.join(folder, "folder.npy"), folder]) {
    await refuses(t, file, () => model.scoreMemorization(file, { prefixLength }), "SAMPLES_INVALID", file);
  }
  for (const file of ["x\0.npy", "x\0.jsonl"]) {
    await refuses(
      t,
      "a path with a null byte",
      () => model.scoreMemorization(file, { prefixLength }),
      "SAMPLES_INVALID",
    );
  }
});
