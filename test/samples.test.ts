// Samples score the same whichever way they are written down.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { loadModel, type SampleRow, type Samples } from "attention-bypass";
import t from "tap";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { npyBytes } from "./support/npy.ts";
import { randomTokens } from "./support/random-model.ts";
import { shared, skipReason } from "./support/shared.ts";
import { characters67, writeByteTokenizer } from "./support/tokenizers.ts";

const folder = await temporaryFolder(t);
await writeByteTokenizer(folder, characters67);
const model = await loadModel(fixture("neox-serial"), { device: "cpu", tokenizer: folder });
t.after(() => model.dispose());
const tokenizer = model.tokenizer as NonNullable<typeof model.tokenizer>;

const length = 10;
const rows = Array.from({ length: 5 }, (_, row) => randomTokens(length, 67, row + 1));
const flat = rows.flat();
const prefixLength = 4;
// Row by row, so that rounding does not depend on how many rows there are.
const expected = await model.scoreMemorization(rows, { prefixLength, memory: 1 });

/** Writes a file into the test's folder. */
async function written(name: string, content: string | Uint8Array): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, content);
  return file;
}

const lines = (...values: unknown[]): string => values.map((value) => `${JSON.stringify(value)}\n`).join("");

t.test("rows tell one another apart, so that the comparisons can fail", async (t) => {
  t.equal(expected.rows, 5);
  t.equal(new Set(expected.perRow.map((row) => row.suffixLogLikelihood)).size, 5);
});

const arrays: [descr: string, data: ArrayBufferView][] = [
  ["|u1", Uint8Array.from(flat)],
  ["|i1", Int8Array.from(flat)],
  ["<u2", Uint16Array.from(flat)],
  ["<i2", Int16Array.from(flat)],
  ["<u4", Uint32Array.from(flat)],
  ["<i4", Int32Array.from(flat)],
  ["<u8", BigUint64Array.from(flat, BigInt)],
  ["<i8", BigInt64Array.from(flat, BigInt)],
];
for (const [descr, data] of arrays) {
  t.test(`.npy of ${descr}`, async (t) => {
    const file = await written(`${descr.slice(1)}.npy`, npyBytes(descr, [5, length], data));
    t.same(await model.scoreMemorization(file, { memory: 1, prefixLength }), expected);
  });
}

t.test(".npy in Fortran order", async (t) => {
  const columns = Array.from({ length }, (_, column) => rows.map((row) => row[column] as number)).flat();
  for (const [descr, data] of [
    ["<i4", Int32Array.from(columns)],
    ["<u2", Uint16Array.from(columns)],
  ] as const) {
    const file = await written("fortran.npy", npyBytes(descr, [5, length], data, { fortran: true }));
    t.same(await model.scoreMemorization(file, { memory: 1, prefixLength }), expected, descr);
    const first = await model.scoreMemorization(file, { memory: 1, prefixLength, rows: 2 });
    t.same(first.perRow, expected.perRow.slice(0, 2), `${descr}: the first rows`);
  }
});

t.test("the first rows", async (t) => {
  const ids = lines(...rows.map((text) => ({ text })));
  const sources: [name: string, samples: Samples][] = [
    ["npy", await written("first.npy", npyBytes("<i4", [5, length], Int32Array.from(flat)))],
    ["jsonl", await written("first.jsonl", ids)],
    ["arrays", rows],
  ];
  for (const [name, samples] of sources) {
    for (const count of [1, 3, 5, 9]) {
      const result = await model.scoreMemorization(samples, { memory: 1, prefixLength, rows: count });
      t.same(result.perRow, expected.perRow.slice(0, count), `${name}: ${count}`);
      t.equal(result.rows, Math.min(count, 5));
    }
  }
  // What is not asked for is not read.
  const spoiled = await written("spoiled.jsonl", `${ids}not JSON\n`);
  t.same(await model.scoreMemorization(spoiled, { memory: 1, prefixLength, rows: 5 }), expected);
  const tokens = Int32Array.from([...flat.slice(0, 4 * length), ...Array<number>(length).fill(99)]);
  const outside = await written("outside.npy", npyBytes("<i4", [5, length], tokens));
  t.same(
    (await model.scoreMemorization(outside, { memory: 1, prefixLength, rows: 4 })).perRow,
    expected.perRow.slice(0, 4),
  );
});

t.test("typed arrays", async (t) => {
  const kinds: Record<string, Samples> = {
    Int32Array: rows.map((row) => Int32Array.from(row)),
    BigInt64Array: rows.map((row) => BigInt64Array.from(row, BigInt)),
    "parts of one array": rows.map((_, row) => Int32Array.from(flat).subarray(row * length, (row + 1) * length)),
    "several kinds": rows.map((row, index) => (index % 2 === 0 ? row : Int32Array.from(row))),
  };
  for (const [name, samples] of Object.entries(kinds)) {
    t.same(await model.scoreMemorization(samples, { memory: 1, prefixLength }), expected, name);
  }
});

t.test("tokens of other calls as typed arrays", async (t) => {
  const tokens = rows[0] as number[];
  const logits = await model.logits(tokens);
  const generation = await model.generate(tokens, { maxNewTokens: 4 });
  const perplexity = await model.perplexity(tokens);
  for (const row of [Int32Array.from(tokens), BigInt64Array.from(tokens, BigInt)]) {
    t.same(await model.logits(row), logits);
    t.same(await model.logits([row]), logits);
    t.same(await model.generate(row, { maxNewTokens: 4 }), generation);
    t.same(await model.generate([row], { maxNewTokens: 4 }), [generation]);
    t.same(await model.perplexity(row), perplexity);
  }
});

t.test("rows in two parts", async (t) => {
  const parts = rows.map((row) => ({
    prefix: row.slice(0, prefixLength),
    suffix: Int32Array.from(row.slice(prefixLength)),
  }));
  t.same(await model.scoreMemorization(parts, { memory: 1 }), expected);
  const whole = rows.map((row) => ({ text: BigInt64Array.from(row, BigInt), repetitions: 1 }));
  t.same(await model.scoreMemorization(whole, { memory: 1, prefixLength }), expected, "one part, and another field");
  const mixed = rows.map((row, index) => (index % 2 === 0 ? row : (parts[index] as SampleRow)));
  t.same(await model.scoreMemorization(mixed, { memory: 1, prefixLength }), expected, "and whole rows among them");
});

t.test("JSON lines of token ids", async (t) => {
  const split = rows.map((row) => ({ prefix: row.slice(0, prefixLength), suffix: row.slice(prefixLength) }));
  const files = {
    "prefix and suffix": await written("ids.jsonl", lines(...split)),
    "prefix and suffix, and more": await written(
      "more.jsonl",
      lines(...split.map((row, id) => ({ id, ...row, x: null }))),
    ),
    "blank lines and Windows' line ends": await written(
      "blank.jsonl",
      `\n${lines(...split).replaceAll("\n", "\r\n\r\n")}  \n`,
    ),
    "no line end at the end": await written("end.jsonl", lines(...split).trimEnd()),
  };
  for (const [name, file] of Object.entries(files))
    t.same(await model.scoreMemorization(file, { memory: 1 }), expected, name);
  const whole = await written("whole.jsonl", lines(...rows.map((text) => ({ text }))));
  t.same(await model.scoreMemorization(whole, { memory: 1, prefixLength }), expected, "text");
});

t.test("JSON lines of text", async (t) => {
  const texts = rows.map((row) => row.map((id) => Math.max(1, id)));
  const same = await model.scoreMemorization(texts, { memory: 1, prefixLength });
  const text = (ids: number[]) => tokenizer.decode(ids);
  t.same(tokenizer.encode(text(texts[0] as number[])), texts[0], "the tokenizer takes these texts apart again");
  const split = texts.map((row) => ({
    prefix: text(row.slice(0, prefixLength)),
    suffix: text(row.slice(prefixLength)),
  }));
  t.same(
    await model.scoreMemorization(await written("text.jsonl", lines(...split)), { memory: 1 }),
    same,
    "prefix and suffix",
  );
  const whole = await written("whole-text.jsonl", lines(...texts.map((row) => ({ text: text(row) }))));
  t.same(await model.scoreMemorization(whole, { memory: 1, prefixLength }), same, "text");
  const mixed = texts.map((row, index) => ({
    prefix: index % 2 === 0 ? row.slice(0, prefixLength) : text(row.slice(0, prefixLength)),
    suffix: text(row.slice(prefixLength)),
  }));
  t.same(
    await model.scoreMemorization(await written("mixed.jsonl", lines(...mixed)), { memory: 1 }),
    same,
    "ids and text",
  );
  t.same(await model.scoreMemorization(mixed, { memory: 1 }), same, "without a file");
});

t.test("prefixes and suffixes of their own lengths", async (t) => {
  const split = [
    { prefix: [1, 2, 3], suffix: [4, 5] },
    { prefix: [6], suffix: [7, 8, 9, 10, 11, 12] },
    { prefix: [13, 14, 15, 16, 17], suffix: [18] },
  ];
  // What a line says itself counts.
  const result = await model.scoreMemorization(await written("uneven.jsonl", lines(...split)), { prefixLength: 2 });
  for (const [index, { prefix, suffix }] of split.entries()) {
    const alone = await model.scoreMemorization([[...prefix, ...suffix]], { prefixLength: prefix.length });
    const row = result.perRow[index];
    t.equal(row?.exactMatch, alone.exactMatch);
    t.equal(row?.tokenAccuracy, alone.tokenAccuracy);
    t.ok(Math.abs((row?.suffixLogLikelihood ?? 0) - alone.suffixLogLikelihood) < 1e-4, `row ${index}: log-likelihood`);
    t.ok(Math.abs((row?.completionEntropy ?? 0) - alone.completionEntropy) < 1e-4, `row ${index}: entropy`);
  }
  const uneven = await model.scoreMemorization(
    [
      [1, 2, 3, 4, 5],
      [6, 7, 8],
    ],
    { prefixLength: 2 },
  );
  t.equal(uneven.rows, 2);
});

const published = shared("data", "pythia-memorized", "pythia-6.9b-deduped_pile_bs0-100-dedup.npy");
t.test("a published .npy file is read", { skip: published === undefined && skipReason }, async (t) => {
  // Its rows are longer than this model's context.
  await t.rejects(model.scoreMemorization(published as string, { prefixLength: 32, rows: 1 }), {
    code: "CONTEXT_TOO_LONG",
    message: /48 tokens, .* row 0 of .*\.npy but received 80/,
  });
});
