// Generated texts: token ids and decoded texts are those of Hugging Face's tokenizers in Python, to the last one.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import t from "tap";
import { readTokenizer } from "../lib/tokenizer/files.ts";
import { createTokenizer } from "../lib/tokenizer/tokenizer.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { noPython, python, reference } from "./support/python.ts";
import { shared, skipReason } from "./support/shared.ts";

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

const random = generator(14);
const pick = <Value>(values: readonly Value[]): Value => values[random(values.length)] as Value;
const times = (count: number, make: () => string): string => Array.from({ length: count }, make).join("");

const spaces = [..." \n\r\t\v\f\u0085\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\ufeff\u200b\u180e", "\r\n", "  "];
const specials = ["<|endoftext|>", "<|padding|>", "<|endoftext|", "|>", "<|im_start|>"];
const words = [
  "the",
  "Model",
  "don't",
  "I'LL",
  "we've",
  "naïve",
  "Straße",
  "ΑΒΓ",
  "слово",
  "मानक",
  "भाषा",
  "ไทย",
  "中文字",
  "日本語",
  "한국어",
  "שלום",
  "العربية",
  "Việt",
  "e\u0301a\u0308",
  "\u1100\u1161\u11a8",
  "ﬁ",
  "Å",
  "2024",
  "½",
  "Ⅷ",
  "٣",
  "x²",
  "😀",
  "👩‍🚀",
  "🇩🇰",
  "𝔘𝔫",
  "_a_",
  "...",
  "--",
  "$9.99",
  "http://a.b/c?d=e",
  "\u0000",
  "\u0301",
  "\ud83d",
] as const;

const kinds: readonly (() => string)[] = [
  () => times(1 + random(8), () => pick(words) + pick(spaces)),
  () => times(1 + random(6), () => pick(spaces).repeat(1 + random(30)) + pick(["", "a", "1", "."])),
  () => times(1 + random(12), () => String.fromCodePoint(random(0xd800))),
  () => times(1 + random(8), () => String.fromCodePoint(0x10000 + random(0x20000))),
  () => times(1 + random(4), () => pick(words) + pick(specials) + pick(spaces)),
  () => times(1 + random(20), () => String.fromCharCode(random(128))),
  () => pick([..."aA1 \n-=é中"]).repeat(1 + random(300)),
  () =>
    times(2 + random(6), () => String.fromCodePoint(0x41 + random(60)) + String.fromCodePoint(0x300 + random(0x70))),
];

/** Characters whose composition came with Unicode 16, which not every Node has. */
const recent = /[\u{113c0}-\u{113ff}\u{16100}-\u{1613f}\u{16d40}-\u{16d7f}\u{105c0}-\u{105ff}]/u;
const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, "\ufffd");

const count = 3000;
const texts = Array.from({ length: count }, (_, index) => (kinds[index % kinds.length] as () => string)()).filter(
  (text) => !recent.test(text),
);

const interpreter = python();
const places = {
  "gpt-neox-20b": shared("data", "tokenizers", "gpt-neox-20b.tokenizer.json"),
  gpt2: shared("data", "tokenizers", "gpt2"),
};

/** Tokens with every flag, in the tokenizer.json of GPT-NeoX-20B. */
const added = [
  { content: "é", normalized: false },
  { content: "[L]", lstrip: true, normalized: false },
  { content: "[R]", rstrip: true, normalized: false },
  { content: "[B]", lstrip: true, rstrip: true, normalized: true },
  { content: "word", single_word: true, normalized: true },
  { content: "[", normalized: true },
  { content: "日本", normalized: false, special: true },
];

t.test("both families' tokenizers", { skip: !interpreter ? noPython : !places.gpt2 && skipReason }, async (t) => {
  const folder = await temporaryFolder(t);
  const own = await readTokenizer(places["gpt-neox-20b"] as string);
  const flags = { single_word: false, lstrip: false, rstrip: false, special: false };
  const tokens = added.map((token, index) => ({ ...flags, ...token, id: 50277 + index }));
  // "é" and "[" are in the vocabulary, and keep their ids.
  const vocabulary = (own.model as { vocab: Record<string, number> }).vocab;
  let next = 50277;
  for (const token of tokens)
    token.id = Object.hasOwn(vocabulary, token.content) ? (vocabulary[token.content] as number) : next++;
  const flagged = path.join(folder, "flagged.json");
  const file = { ...own, version: "1.0", truncation: null, padding: null, post_processor: null };
  await writeFile(flagged, JSON.stringify({ ...file, added_tokens: [...own.added_tokens, ...tokens] }));
  const prefixed = path.join(folder, "prefixed.json");
  const byteLevel = { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true };
  await writeFile(prefixed, JSON.stringify({ ...file, pre_tokenizer: byteLevel }));

  const tokenizers = { ...places, flagged, prefixed };
  const marks = [
    "[L]",
    "[R]",
    "[B]",
    "[",
    "word",
    " word ",
    "sword",
    "é",
    "日本",
    "  ",
    " \u0085",
    "\ufeff",
    "a",
    "<|endoftext|>",
  ];
  const marked = Array.from({ length: 400 }, () => times(1 + random(10), () => pick(marks)));
  const all = [...texts, ...marked];
  const work = path.join(folder, "work.json");
  await writeFile(work, JSON.stringify({ tokenizers, texts: all.map(wellFormed) }));
  const expected = await reference<Record<string, [number[], string][]>>(interpreter as string, "encode_texts.py", [
    work,
  ]);
  for (const [name, place] of Object.entries(tokenizers)) {
    const tokenizer = await createTokenizer(await readTokenizer(place as string), name);
    const wrong = all.flatMap((text, index) => {
      const [ids, decoded] = (expected[name] as [number[], string][])[index] as [number[], string];
      const encoded = tokenizer.encode(text);
      const same = encoded.length === ids.length && encoded.every((id, place) => id === ids[place]);
      return same && tokenizer.decode(ids) === decoded
        ? []
        : [{ text, ids, encoded, decoded, ours: tokenizer.decode(ids) }];
    });
    t.same(wrong.slice(0, 3), [], `${name}: ${wrong.length} of ${all.length} texts differ`);
  }
});

t.test("long texts, on another thread", { skip: !interpreter ? noPython : !places.gpt2 && skipReason }, async (t) => {
  const folder = await temporaryFolder(t);
  const long = ["a".repeat(100_000), "\n".repeat(150_000), `x${" ".repeat(30_000)}y`, texts.map(wellFormed).join(" ")];
  const work = path.join(folder, "work.json");
  await writeFile(work, JSON.stringify({ tokenizers: places, texts: long }));
  const expected = await reference<Record<string, [number[], string][]>>(interpreter as string, "encode_texts.py", [
    work,
  ]);
  for (const [name, place] of Object.entries(places)) {
    const tokenizer = await createTokenizer(await readTokenizer(place as string), name);
    const ids = await Promise.all(long.map((text) => tokenizer.encodeAsync(text)));
    for (const [index, row] of ids.entries()) {
      t.ok(
        Buffer.from(Int32Array.from(row).buffer).equals(
          Buffer.from(Int32Array.from(expected[name]?.[index]?.[0] as number[]).buffer),
        ),
        `${name}: long text ${index}`,
      );
    }
  }
});
