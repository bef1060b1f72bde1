// Files are what their first bytes say: the same samples and texts in every form that people have, and what is none.
import { execFileSync } from "node:child_process";
import { open, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { type ErrorCode, loadModel, type Samples } from "attention-bypass";
import t, { type Test } from "tap";
import { runCommand } from "./support/child.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { npyBytes } from "./support/npy.ts";
import { refuses } from "./support/refusals.ts";
import { shared, skipReason } from "./support/shared.ts";

const root = path.join(import.meta.dirname, "..");
const folder = await temporaryFolder(t);
const model = await loadModel(fixture("neox-serial"), { device: "cpu" });
const reader = await loadModel(path.join(root, "models", "gpt-neox"), { device: "cpu" });
t.after(() => Promise.all([model.dispose(), reader.dispose()]));

const metrics = ["suffixLogLikelihood"] as const;
/** What is scored of samples of ids, with four tokens as the prefix where they do not say it. */
const score = (samples: Samples, rows?: number) =>
  model.scoreMemorization(samples, { metrics, prefixLength: 4, memory: 1, ...(rows && { rows }) });
/** The same of samples of text. */
const scoreText = (samples: Samples) => reader.scoreMemorization(samples, { metrics, prefixLength: 2, memory: 1 });

async function written(name: string, content: string | Uint8Array): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, content);
  return file;
}

async function refused(t: Test, file: Samples, code: ErrorCode, ...said: string[]): Promise<void> {
  await refuses(t, String(file), () => scoreText(file), code, ...said);
}

/** Made, and read back by numpy, by test/fixtures/generate_arrays.py. */
const arrays = (name: string) => path.join(import.meta.dirname, "fixtures", "arrays", name);
const rows = JSON.parse(await readFile(arrays("rows.json"), "utf8")) as number[][];
const expected = await score(rows);

t.test("arrays in every form that numpy writes", async (t) => {
  t.equal(new Set(expected.perRow.map((row) => row.suffixLogLikelihood)).size, 3, "rows differ");
  const names = ["ne-i1", "ne-u1", "be-i2", "be-u2", "be-i4", "be-u4", "be-i8", "be-u8", "le-u2", "le-i8"];
  const files = [...names, "fortran", "fortran-be", "version-2", "version-3"].map((name) => `${name}.npy`);
  for (const name of [...files, "named-otherwise.dat", "stored.npz", "deflated.npz", "fortran.npz"]) {
    t.same(await score(arrays(name)), expected, name);
    t.same((await score(arrays(name), 2)).perRow, expected.perRow.slice(0, 2), `${name}: the first rows`);
  }
  t.same(await score({ prefixes: arrays("prefixes.npy"), suffixes: arrays("suffixes.npy") }), expected, "a pair");
  const pair = { prefixes: arrays("prefixes.npy"), suffixes: arrays("suffixes.npy") };
  t.same((await score(pair, 1)).perRow, expected.perRow.slice(0, 1), "a pair's first row");
});

t.test("arrays that are none of token ids", async (t) => {
  await refused(t, arrays("several.npz"), "SAMPLES_INVALID", '"prefix", "suffix"', "numpy.save");
  await refuses(t, "negative", () => score(arrays("negative.npy")), "TOKEN_OUT_OF_RANGE", "row 0", "received -1");
  await refused(t, { prefixes: arrays("prefixes.npy"), suffixes: arrays("rows.json") }, "SAMPLES_INVALID", "rows.json");
  const short = await written("short.npy", npyBytes("<u2", [2, 6], new Uint16Array(12)));
  await refused(t, { prefixes: arrays("prefixes.npy"), suffixes: short }, "SAMPLES_INVALID", "2 rows", "3", short);
  // biome-ignore lint/suspicious/noExplicitAny: what a caller without types may pass
  await refused(t, { prefixes: "a.npy" } as any, "INVALID_ARGUMENT", "prefixes, suffixes");
  const zip = await written("other.npz", await readFile(arrays("stored.npz")));
  const bytes = await readFile(zip);
  await writeFile(zip, Buffer.from(bytes.toString("latin1").replaceAll("ids.npy", "ids.txt"), "latin1"));
  await refused(t, zip, "SAMPLES_INVALID", "zip archive", "without a .npy");
  await refused(t, await written("cut.npz", bytes.subarray(0, 200)), "SAMPLES_INVALID", "zip");
  // The array's size when inflated, in the directory: less than there is, so that inflating it is an error.
  const less = await readFile(arrays("deflated.npz"));
  for (const size of [0, 1, 100, 2 ** 20]) {
    less.writeUInt32LE(size, less.lastIndexOf("PK\x01\x02", undefined, "latin1") + 24);
    await refused(t, await written("less.npz", less), "SAMPLES_INVALID", "less.npz");
  }
});

t.test("headers that lie are refused before anything is allocated", async (t) => {
  const header = (shape: string) => {
    const text = `{'descr': '<i8', 'fortran_order': False, 'shape': ${shape}, }\n`;
    return Buffer.concat([Buffer.from("\x93NUMPY\x01\0", "latin1"), Buffer.from([text.length, 0]), Buffer.from(text)]);
  };
  const before = process.memoryUsage.rss();
  const file = (shape: string) => written("lies.npy", header(shape));
  await refused(t, await file("(1000000000, 0)"), "SAMPLES_INVALID", "rows");
  await refused(t, await file("(4, 0)"), "PREFIX_TOO_LONG", "row 0", "0 tokens");
  await refused(t, await file("(0.5, 0)"), "SAMPLES_INVALID", "header", "0.5");
  await refused(t, await file("(-1, 8)"), "SAMPLES_INVALID", "header");
  await refused(t, await file("(4, 1000000000)"), "SAMPLES_INVALID", "0 values", "(4, 1000000000)");
  await refused(t, await file("(999999999999999, 999999999999999)"), "SAMPLES_INVALID", "0 values");
  await refused(t, await file(`(${"1,".repeat(80)})`), "SAMPLES_INVALID", "shape");
  await refused(
    t,
    await written("long.npy", Buffer.from("\x93NUMPY\x02\0\xff\xff\xff\xff", "latin1")),
    "SAMPLES_INVALID",
  );
  t.ok(process.memoryUsage.rss() - before < 2 ** 28, "memory");
});

t.test("of a large file, only the rows that are asked for are read", async (t) => {
  const length = 10;
  const count = 330_000_000;
  const begin = npyBytes("|u1", [count, length], Uint8Array.from((rows.slice(0, 2) as number[][]).flat()));
  const file = await written("large.npy", begin);
  const handle = await open(file, "r+");
  // A hole takes no room on disk.
  await handle.truncate(begin.length - 2 * length + count * length);
  await handle.close();
  t.same((await score(file, 2)).perRow, expected.perRow.slice(0, 2));
  await refuses(t, "all of them", () => score(file), "SAMPLES_INVALID", "rows");
  const line = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  const lines = await written("large.jsonl", line.repeat(100));
  const appended = await open(lines, "r+");
  await appended.truncate(3.3e9);
  await appended.close();
  t.same((await score(lines, 2)).perRow, expected.perRow.slice(0, 2), "JSON lines");
  await refuses(t, "a line of 3 GB", () => score(lines), "SAMPLES_INVALID", "line 301", "MiB");
});

t.test("JSON lines of ids", async (t) => {
  const lines = (value: (row: number[]) => unknown) => rows.map((row) => `${JSON.stringify(value(row))}\n`).join("");
  const forms: Record<string, string | Uint8Array> = {
    arrays: lines((row) => row),
    tokens: lines((tokens) => ({ index: 12, tokens })),
    input_ids: lines((input_ids) => ({ input_ids, attention_mask: input_ids.map(() => 1) })),
    text: lines((text) => ({ text, prefix: null })),
    parts: lines((row) => ({ prefix: row.slice(0, 4), suffix: row.slice(4) })),
    gzip: gzipSync(lines((row) => row)),
    "two members of gzip": Buffer.concat([
      gzipSync(lines((row) => row).slice(0, 20)),
      gzipSync(lines((row) => row).slice(20)),
    ]),
    "a mark and CR LF": `\ufeff${lines((row) => row).replaceAll("\n", "\r\n")}`,
  };
  for (const [name, content] of Object.entries(forms))
    t.same(await score(await written("ids", content)), expected, name);
  const both = await written(
    "both.jsonl",
    lines((tokens) => ({ tokens, text: "abc" })),
  );
  await refused(t, both, "SAMPLES_INVALID", "line 1", "text", "tokens");
  const three = await written("three.jsonl", '{"text":"a b c","prefix":"a","suffix":" b"}\n');
  await refused(t, three, "SAMPLES_INVALID", "text", "prefix and suffix");
  await refused(
    t,
    await written("null.jsonl", '{"text":"a b c","prefix":"a","suffix":null}\n'),
    "SAMPLES_INVALID",
    "prefix",
  );
  const padded = await written("padded.jsonl", '{"input_ids":[1,2,3,0],"attention_mask":[1,1,1,0]}\n');
  await refused(t, padded, "SAMPLES_INVALID", "padding", "attention_mask");
});

t.test("JSON lines of text", async (t) => {
  const row = { prefix: "Why was it that the pond", suffix: " was hard?" };
  const same = await scoreText([row, row]);
  const plain = `${JSON.stringify(row)}\n`.repeat(2);
  // Those two lines, compressed by zstd 1.5.
  const zst = "KLUv/SB45QEA1AJ7InByZWZpeCI6IldoeSB3YXMgaXQgdGhhZSBwb25kIiwic3VmaGFyZD8ifQoEAPlKmKgWjsIUrDIG";
  const forms: Record<string, string | Uint8Array> = {
    "byte order mark": `\ufeff${plain}`,
    "CR LF": plain.replaceAll("\n", "\r\n"),
    gzip: gzipSync(plain),
    zstd: Buffer.from(zst, "base64"),
  };
  for (const [name, content] of Object.entries(forms))
    t.same(await scoreText(await written("text", content)), same, name);
  const separators = { prefix: "a line\u2028separator\u0085here", suffix: " and\u2029more" };
  const file = await written("separators.jsonl", `${JSON.stringify(separators)}\n${plain}`);
  t.equal((await scoreText(file)).rows, 3, "other separators end no line");
  t.same((await scoreText(file)).perRow[0], (await scoreText([separators])).perRow[0]);

  const latin1 = Buffer.from('{"prefix":"im Café","suffix":" und"}\n', "latin1");
  const bad: [content: string | Uint8Array, ...said: string[]][] = [
    [latin1, "line 1", "UTF-8", "byte 17", "iconv"],
    [Buffer.concat([Buffer.from(plain), latin1]), "line 3", "UTF-8"],
    [Buffer.from(`\ufeff${plain}`, "utf16le"), "UTF-16", "iconv"],
    [Buffer.from(plain, "utf16le"), "UTF-16"],
    [plain.replaceAll("\n", "\r"), "CR only"],
    ["prefix,suffix\nWhy was,it that\n", "line 1", "prefix,suffix", "JSON lines"],
    ['[\n  {"prefix": "a"}\n]\n', "jq -c"],
    [`[${JSON.stringify(row)}]`, "an array of 1"],
    ['{"prompt":"a","completion":"b"}\n', "{ prompt, completion }"],
    ['{"prefix":"cut \\ud83d","suffix":" yes"}\n', "surrogate"],
    [`${plain}{"prefix":"a","suf`, "line 3", "JSON"],
    ["version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer", "git lfs pull"],
    ["<!DOCTYPE html>\n<html></html>\n", "HTML", "download"],
    [Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), "PNG"],
    [Buffer.from(Uint16Array.of(1, 2, 3, 4000, 5).buffer), "binary", "numpy.fromfile"],
    [gzipSync(await readFile(arrays("le-u2.npy"))), "npy", "decompress"],
    [gzipSync(plain).subarray(0, 40), "decompressed"],
    [Buffer.from("28b52ffd00", "hex"), "decompressed"],
  ];
  for (const [content, ...said] of bad) await refused(t, await written("bad", content), "SAMPLES_INVALID", ...said);
});

t.test("a small file that expands without end", async (t) => {
  const bomb = await written("bomb.gz", gzipSync(Buffer.alloc(64 * 2 ** 20, "x")));
  await refused(t, bomb, "SAMPLES_INVALID", "line 1", "MiB");
});

t.test("pipes and devices as paths are refused at once", async (t) => {
  const fifo = path.join(folder, "fifo");
  execFileSync("mkfifo", [fifo]);
  for (const file of [fifo, "/dev/zero", "/dev/null"]) {
    await refused(t, file, "SAMPLES_INVALID", file, "pipe or a device");
    await refuses(t, "text", () => reader.perplexity({ file }), "SAMPLES_INVALID", file, "pipe or a device");
    const questions = { name: "own", questions: file };
    await refuses(t, "questions", () => reader.benchmark(questions), "TASK_INVALID", file, "pipe or a device");
    await refuses(t, "data", () => reader.benchmark("piqa", { data: file }), "TASK_INVALID", file);
    await refuses(t, "a definition", () => reader.benchmark(file, { data: folder }), "TASK_INVALID", file);
  }
});

t.test("texts", async (t) => {
  const text = "Why was it that the pond was hard?\n";
  const same = await reader.perplexity(text);
  const file = await written("text.txt", text);
  t.same(await reader.perplexity({ file }), same);
  t.same(await reader.perplexity({ file: await written("mark.txt", `\ufeff${text}`) }), same, "byte order mark");
  const { base } = await reader.sweep({ text: { file }, over: [{ blocks: [0] }] });
  t.ok(Math.abs((base.perplexity?.perplexity ?? 0) / same.perplexity - 1) < 1e-5, "swept");

  const texts = await temporaryFolder(t);
  await writeFile(path.join(texts, "b.txt"), "was hard?");
  await writeFile(path.join(texts, "a.txt"), "Why was it");
  await writeFile(path.join(texts, "notes.md"), "no text");
  t.same(await reader.perplexity({ file: texts }), await reader.perplexity("Why was it\n\nwas hard?"), "a folder");

  const refusedText = (content: string | Uint8Array, ...said: string[]) =>
    written("bad.txt", content).then((file) =>
      refuses(t, said.join(), () => reader.perplexity({ file }), "SAMPLES_INVALID", file, ...said),
    );
  await refusedText(Buffer.from("im Café war", "latin1"), "UTF-8", "byte 6", "iconv");
  await refusedText(Buffer.from(`\ufeff${text}`, "utf16le"), "UTF-16");
  await refusedText(gzipSync(text), "gzip", "gunzip");
  await refusedText(await readFile(process.execPath).then((bytes) => bytes.subarray(0, 3000)), "ELF");
  const empty = await temporaryFolder(t);
  await refuses(t, "no texts", () => reader.perplexity({ file: empty }), "SAMPLES_INVALID", ".txt");
  await refuses(t, "no file", () => reader.perplexity({ file: "nowhere.txt" }), "FILE_NOT_FOUND", "nowhere.txt");
  // Both readings would give a number.
  await refuses(
    t,
    "a path as text",
    () => reader.perplexity(file),
    "INVALID_ARGUMENT",
    "{ file }",
    path.basename(folder),
  );
});

t.test("from the command line", async (t) => {
  const cli = [process.execPath, path.join(root, "dist", "cli.js")];
  const neox = fixture("neox-serial");
  const ids = ["--device", "cpu", "--metrics", "suffixLogLikelihood", "--json"];
  const pair = ["--samples", arrays("prefixes.npy"), "--suffixes", arrays("suffixes.npy")];
  const ran = await runCommand([...cli, "memorization", neox, ...pair, ...ids]);
  t.equal(ran.code, 0, ran.stderr);
  const { suffixLogLikelihood } = JSON.parse(ran.stdout) as { suffixLogLikelihood: number };
  t.ok(Math.abs(suffixLogLikelihood - expected.suffixLogLikelihood) < 1e-4);
  const latin1 = await written("latin1.txt", Buffer.from("im Café war", "latin1"));
  const bad = await runCommand([
    ...cli,
    "perplexity",
    path.join(root, "models", "gpt-neox"),
    latin1,
    "--device",
    "cpu",
  ]);
  t.equal(bad.code, 3);
  t.match(bad.stderr, /UTF-8.*\[SAMPLES_INVALID\]/);
});

const matrix = shared("bugs", "05-npy-matrix");
t.test("what people have: arrays", { skip: matrix === undefined && skipReason }, async (t) => {
  const place = (name: string) => path.join(matrix as string, name);
  const gptNeox = reader.config.vocabularySize;
  t.ok(gptNeox > 1000);
  const readable = [
    "be-i4",
    "be-i8",
    "be-u2",
    "be-u4",
    "be-u8",
    "fortran-be",
    "fortran",
    "le-i4",
    "le-u2",
    "le-u8",
    "v2",
    "v3",
  ];
  const first = await scoreText(place("le-i8.npy"));
  for (const name of [...readable.map((name) => `${name}.npy`), "le-u2.NPY", "renamed.dat"]) {
    t.same(await scoreText(place(name)), first, name);
  }
  const bad = {
    bool: "b1",
    f32: "f4",
    f64: "f8",
    object: "O",
    onedim: "(48)",
    struct: "structured",
    threedim: "(2, 2, 12)",
  };
  for (const [name, said] of Object.entries(bad)) await refused(t, place(`${name}.npy`), "SAMPLES_INVALID", said);
  for (const name of ["trailing.npy", "truncated.npy"]) await refused(t, place(name), "SAMPLES_INVALID", "values");
  await refused(t, place("memmap.bin"), "SAMPLES_INVALID", "numpy.fromfile");
  for (const name of ["neg1.npy", "int16-wrapped.npy"])
    await refused(t, place(name), "TOKEN_OUT_OF_RANGE", "received -");
});
