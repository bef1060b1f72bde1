// Texts that are encoded in parts: tokens and offsets are those of the whole text, for texts and tokenizers of many kinds.
import { readFileSync } from "node:fs";
import path from "node:path";
import { embeddedModel } from "attention-bypass";
import t, { type Test } from "tap";
import { decodeUtf8Chunks } from "../lib/files/utf8.ts";
import { encodeDocument, type Stretch } from "../lib/scan/stretches.ts";
import { nextDivision } from "../lib/tokenizer/dividing.ts";
import { readTokenizer } from "../lib/tokenizer/files.ts";
import { createTokenizer, type Tokenizer } from "../lib/tokenizer/tokenizer.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { shared } from "./support/shared.ts";
import { characters67, writeByteTokenizer } from "./support/tokenizers.ts";

/** Numbers that are the same in every run, by mulberry32. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

const random = generator(18);
const pick = <Value>(values: readonly Value[]): Value => values[random(values.length)] as Value;
const times = (count: number, make: () => string): string => Array.from({ length: count }, make).join("");

const pieces = [
  ..."the Model don't I'LL naïve слово 中文字。 日本語 한국어 שלום ไทย 😀 👩‍🚀 🇩🇰 𝔘𝔫 2024 ½ x² _a_ == ... — \ufeff \u200b".split(
    " ",
  ),
  "e\u0301",
  "a\u0308\u0323",
  "\u1100\u1161\u11a8",
  "Å\u212b\u2126",
  "<|endoftext|>",
  "<|endoftext|",
  "<user> :",
  ...[" ", "  ", "   ", " \n", "\n", "\r\n", "\t", "\u00a0", "\u2003", "\u3000", "\u2028", " \t \n ", " ".repeat(30)],
];
const texts: Record<string, string> = {
  mixed: times(5000, () => pick(pieces)),
  "words of marks": times(12_000, () => pick(["a", "\u0301", "\u0323", "\u0308", " ", "가", "\u1161", "e"])),
  "no white space": times(4000, () => pick(["中文字", "word", "。", "1", "'", "😀"])),
  spaces: times(10_000, () => pick([" ", "\n", "\r\n", "a"])),
  "lines of spaces": times(800, () => `${" ".repeat(random(40))}${pick(["x", "", "yz"])}\n`),
  "half of surrogate pairs": times(9000, () => pick(["\ud83d", "\ude00", "a ", " b", "é"])),
  prose: times(
    4000,
    () => `${pick(["The", "and", "it's", "mill", "Ünder", "(so)"])}${pick([" ", " ", ", ", ".\n\n"])}`,
  ),
};

/** Divides a text into pieces of any length that do not divide characters. */
async function* inPieces(text: string): AsyncGenerator<string, void, void> {
  for (let at = 0; at < text.length; ) {
    let end = Math.min(text.length, at + 1 + random(9000));
    if (/^[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(end - 1, end + 1))) end++;
    yield text.slice(at, end);
    at = end;
  }
}

async function encode(text: string, tokenizer: Tokenizer): Promise<Stretch[]> {
  const config = { vocabularySize: 2 ** 24 } as never;
  const document = { name: "text", content: { pieces: inPieces(text), ofFile: false } };
  const stretches: Stretch[] = [];
  for await (const stretch of encodeDocument(document, inPieces(text), { config, tokenizer }, undefined)) {
    stretches.push(stretch);
  }
  return stretches;
}

/** Checks spans by the bytes of the tokens: those before the end of a token are those of the text before it. */
function checkSpans(t: Test, text: string, stretches: readonly Stretch[], tokenizer: Tokenizer, name: string): void {
  const whole = text.replace(/\p{Surrogate}/gu, "\ufffd");
  let end = 0;
  let wrong = 0;
  for (const stretch of stretches) {
    const { value, begin, begins, ends } = stretch.text as NonNullable<Stretch["text"]>;
    t.equal(value, text.slice(begin, begin + value.length), `${name}: the text of a stretch`);
    let since = begin;
    let bytes: Uint8Array[] = [];
    for (const [index, token] of stretch.tokens.entries()) {
      if ((begins[index] as number) > end || (begins[index] as number) < since) wrong++;
      bytes.push(tokenizer.bytesOf(token));
      end = ends[index] as number;
      const decoded = Buffer.concat(bytes).toString();
      // Tokens share a character, or characters that are normalized together: there is nothing to compare inside them.
      if ((begins[index + 1] ?? end) < end) continue;
      const expected = whole.slice(since, end);
      if (decoded !== expected && decoded !== expected.normalize("NFC")) wrong++;
      since = end;
      bytes = [];
    }
  }
  t.equal(wrong, 0, `${name}: spans`);
}

const folder = await temporaryFolder(t);
await writeByteTokenizer(folder, characters67);
const embedded = JSON.parse(readFileSync(path.join(embeddedModel(), "tokenizer.json"), "utf8"));
const read = async (place: string) => createTokenizer((await readTokenizer(place)) as object, place);
const added = { id: 2048, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false };
const neox = shared("data", "tokenizers", "gpt-neox-20b.tokenizer.json");
const tokenizers: Record<string, { tokenizer: Tokenizer | undefined; divides: boolean; exact?: boolean }> = {
  embedded: { tokenizer: await createTokenizer(embedded, "embedded"), divides: true },
  "Pythia's, with NFC": { tokenizer: neox === undefined ? undefined : await read(neox), divides: true },
  "few bytes": { tokenizer: await read(folder), divides: true, exact: false },
  "an added token with a space": {
    tokenizer: await createTokenizer(
      { ...embedded, added_tokens: [...embedded.added_tokens, { ...added, content: "<user> :" }] },
      "added",
    ),
    divides: false,
  },
  "an added token that takes the white space after it": {
    tokenizer: await createTokenizer(
      { ...embedded, added_tokens: [...embedded.added_tokens, { ...added, content: "Model", rstrip: true }] },
      "stripping",
    ),
    divides: false,
    exact: false,
  },
};

for (const [name, { tokenizer, divides, exact = true }] of Object.entries(tokenizers)) {
  t.test(
    `${name}`,
    { skip: tokenizer === undefined && "the tokenizer does not lie beside the repository" },
    async (t) => {
      const used = tokenizer as Tokenizer;
      t.equal(used.divides, divides);
      for (const [title, text] of Object.entries(texts)) {
        const expected = Int32Array.from(await used.encodeAsync(text));
        const stretches = await encode(text, used).catch((error: Error) => error);
        if (stretches instanceof Error) {
          t.match(stretches, { code: "TOKENIZER_INVALID" }, `${title}: refused`);
          t.notOk(exact, title);
          continue;
        }
        const tokens = Int32Array.from(stretches.flatMap((stretch) => Array.from(stretch.tokens)));
        t.same(tokens, expected, `${title}: tokens`);
        if (divides && title !== "no white space" && tokens.length > 0)
          t.ok(stretches.length > 1, `${title}: in parts`);
        if (exact) checkSpans(t, text, stretches, used, title);
      }
    },
  );
}

t.test("tokenizers whose tokens are not the bytes of the text are refused", async (t) => {
  const lowercase = await createTokenizer({ ...embedded, normalizer: { type: "Lowercase" } }, "lowercase");
  await t.rejects(encode("The Text", lowercase), { code: "TOKENIZER_INVALID", message: /pass token ids/ });
  const prefixed = await createTokenizer(
    { ...embedded, pre_tokenizer: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true } },
    "prefixed",
  );
  t.notOk(prefixed.divides);
  await t.rejects(encode("text", prefixed), { code: "TOKENIZER_INVALID" });
});

t.test("places where a text is divided", (t) => {
  t.equal(nextDivision("one two", 0), 3);
  t.equal(nextDivision("one two", 3), 3);
  t.equal(nextDivision("one two", 4), -1);
  t.equal(nextDivision("  one\n\n two", 0), 5);
  t.equal(nextDivision("中文", 0), -1);
  t.end();
});

t.test("UTF-8 in chunks that divide characters", async (t) => {
  const text = `\ufeffa£€😀${"é中".repeat(20)}\ufeff!`;
  const bytes = Buffer.from(text);
  for (const size of [1, 2, 3, 5, 64, 1000]) {
    async function* chunks() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    }
    const parts: string[] = [];
    for await (const part of decodeUtf8Chunks(chunks())) parts.push(part);
    t.equal(parts.join(""), text, `chunks of ${size}`);
  }
  for (const [end, offset] of [
    ["\xff", 3],
    ["\xe4\xb8", 3],
    ["\xed\xa0\x80", 3],
  ] as const) {
    async function* chunks() {
      for (const byte of Buffer.from(`abc${end}`, "latin1")) yield Buffer.from([byte]);
    }
    const reading = (async () => {
      for await (const _ of decodeUtf8Chunks(chunks()));
    })();
    await t.rejects(reading, { message: new RegExp(`at byte ${offset}:`) });
  }
});
