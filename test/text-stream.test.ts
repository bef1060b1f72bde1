// Text that comes token by token is whole characters only, and ends before a stop string wherever tokens divide it.
import t, { type Test } from "tap";
import { TextStream } from "../lib/generation/text-stream.ts";
import { readTokenizer } from "../lib/tokenizer/files.ts";
import { createTokenizer, type Tokenizer } from "../lib/tokenizer/tokenizer.ts";
import { temporaryFolder } from "./support/fixtures.ts";
import { shared, skipReason } from "./support/shared.ts";
import { allBytes, writeByteTokenizer } from "./support/tokenizers.ts";

const folder = await temporaryFolder(t);
await writeByteTokenizer(folder, allBytes);
/** A token for each byte: every character but ASCII is divided between tokens. */
const bytes = await createTokenizer(await readTokenizer(folder), "bytes");

interface Streamed {
  pieces: string[];
  /** What comes at the end. */
  rest: string;
  stream: TextStream;
}

/** Pushes tokens until the stream stops, as a generation does. */
function streamed(tokenizer: Tokenizer, tokens: number[], stops: string[] = []): Streamed {
  const stream = new TextStream(tokenizer, stops);
  const pieces: string[] = [];
  for (const token of tokens) {
    pieces.push(stream.push(token));
    if (stream.stopped) break;
  }
  return { pieces, rest: stream.end(), stream };
}

/** Asserts that a text comes out whole, in pieces without half a character. */
function comesWhole(t: Test, tokenizer: Tokenizer, text: string, tokens = tokenizer.encode(text)): string[] {
  const title = JSON.stringify(text);
  const { pieces, rest, stream } = streamed(tokenizer, tokens);
  t.equal([...pieces, rest].join(""), text, `${title}: all of it`);
  t.equal(stream.text, text, `${title}: collected`);
  t.ok(!pieces.some((piece) => /\uFFFD|\p{Surrogate}/u.test(piece)), `${title}: whole characters`, { pieces });
  return pieces;
}

const texts = [
  "plain",
  "é",
  "naïve café – “quoted”…",
  "😀",
  "😀😁😂",
  "a😀b👍🏽c👨‍👩‍👧‍👦d🇩🇰",
  "中文句子，没有空格。",
  "日本語 한국어 שלום नमस्ते",
  "𝔘𝔫𝔦",
  "mixed 😀中é text, long enough that what was decoded long ago is let go of: 语言模型记住了什么？ 👩‍🚀",
];

t.test("characters divided between tokens", async (t) => {
  for (const text of texts) comesWhole(t, bytes, text);
});

t.test("a character comes with the token that completes it, and not before", async (t) => {
  t.same(streamed(bytes, bytes.encode("a😀b")).pieces, ["a", "", "", "", "😀", "b"]);
  t.same(streamed(bytes, bytes.encode("é中")).pieces, ["", "é", "", "", "中"]);
});

for (const name of ["gpt-neox-20b.tokenizer.json", "gpt2"]) {
  const place = shared("data", "tokenizers", name);
  t.test(`with ${name}`, { skip: place === undefined && skipReason }, async (t) => {
    const tokenizer = await createTokenizer(await readTokenizer(place as string), name);
    for (const text of texts) comesWhole(t, tokenizer, text);
    t.ok(comesWhole(t, tokenizer, "👩‍🚀𝔘").includes(""), "some tokens complete nothing");
    comesWhole(t, tokenizer, " leading spaces, code:\n\n    x = 1\t\n  end ");
  });
}

t.test("a long text of divided characters", async (t) => {
  comesWhole(t, bytes, "😀中é ".repeat(60));
});

/** Token ids of single bytes. */
const raw = (...values: number[]): number[] => values.map((value) => value + 1);

t.test("bytes that are no character do come out", async (t) => {
  const cases: [tokens: number[], text: string][] = [
    // Half an emoji at the end, alone and after text.
    [raw(0xf0, 0x9f, 0x98), "\uFFFD"],
    [raw(0x61, 0xf0, 0x9f), "a\uFFFD"],
    // Half a character, then another one.
    [raw(0xe4, 0xb8, 0x61), "\uFFFDa"],
    [raw(0xe4, 0xb8, 0xe4, 0xb8, 0xad), "\uFFFD中"],
    // Bytes that begin nothing.
    [raw(0x80, 0x80, 0x80), "\uFFFD\uFFFD\uFFFD"],
    [raw(0xff, 0x61, 0xfe, 0x62), "\uFFFDa\uFFFDb"],
    // U+FFFD that was written as such.
    [raw(0xef, 0xbf, 0xbd), "\uFFFD"],
    [raw(0xef, 0xbf, 0xbd, 0x61), "\uFFFDa"],
    [raw(...Array<number>(40).fill(0x80), 0x61), `${"\uFFFD".repeat(40)}a`],
  ];
  for (const [tokens, text] of cases) {
    t.equal(bytes.decode(tokens), text, "as decoded at once");
    const { pieces, rest } = streamed(bytes, tokens);
    t.equal([...pieces, rest].join(""), text, tokens.join(" "));
  }
});

t.test("any bytes at all come out as they are decoded at once", async (t) => {
  let state = 1;
  for (let round = 0; round < 200; round++) {
    const tokens = Array.from({ length: 30 }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      // Mostly bytes of which characters consist, so that some are whole.
      return 1 + [0x61, 0x20, 0xc3, 0xa9, 0xe4, 0xb8, 0xad, 0xf0, 0x9f, 0x98, 0x80, 0xff][(state >>> 16) % 12]!;
    });
    const { pieces, rest, stream } = streamed(bytes, tokens);
    const whole = bytes.decode(tokens);
    if ([...pieces, rest].join("") !== whole || stream.text !== whole)
      t.fail(tokens.join(" "), { pieces, rest, whole });
  }
  t.pass("200 rows");
});

t.test("stop strings", async (t) => {
  const cases: [title: string, text: string, stops: string[], expected: string, stopped: boolean][] = [
    ["that straddle tokens", "one STOP two", ["STOP"], "one ", true],
    ["at the very beginning", "STOP two", ["STOP"], "", true],
    ["that are all", "STOP", ["STOP"], "", true],
    ["at the very end", "one STOP", ["STOP"], "one ", true],
    ["that never come", "one STO", ["STOP"], "one STO", false],
    ["that almost come", "one STO two STOP", ["STOP"], "one STO two ", true],
    ["that overlap with themselves", "aab", ["ab"], "a", true],
    ["that begin again inside a candidate", "abababc", ["ababc"], "ab", true],
    ["of one repeated character", "\n\n \n\n\n", ["\n\n\n"], "\n\n ", true],
    ["the first of two in the text", "a B c D", ["D", "B"], "a ", true],
    ["the first of two in the list", "a B c D", ["B", "D"], "a ", true],
    ["two that begin alike", "one endless two", ["end.", "endless"], "one ", true],
    ["two that begin alike, the shorter comes", "one end. two", ["endless", "end."], "one ", true],
    ["two that the same token completes", "xabc", ["bc", "abc"], "x", true],
    ["one that another contains", "xaby", ["b", "xabz"], "xa", true],
    ["of divided characters", "é😀中 end", ["😀中"], "é", true],
    ["that begin with half of another character", "😁😀", ["😀"], "😁", true],
    ["of one character", "abc", ["b"], "a", true],
  ];
  for (const [title, text, stops, expected, stopped] of cases) {
    const { pieces, rest, stream } = streamed(bytes, bytes.encode(text), stops);
    t.equal([...pieces, rest].join(""), expected, title);
    t.equal(stream.text, expected, `${title}: collected`);
    t.equal(stream.stopped, stopped, `${title}: stopped`);
  }
});

t.test("nothing is held back longer than a stop string may still come", async (t) => {
  t.same(streamed(bytes, bytes.encode("aSTaSTOP"), ["STOP"]).pieces, ["a", "", "", "STa", "", "", "", ""]);
  t.same(streamed(bytes, bytes.encode("ab"), ["STOP"]).pieces, ["a", "b"]);
  const { pieces, rest } = streamed(bytes, bytes.encode("aST"), ["STOP"]);
  t.same([...pieces, rest], ["a", "", "", "ST"]);
});

t.test("after a stop nothing more comes", async (t) => {
  const stream = new TextStream(bytes, ["b"]);
  const pieces = bytes.encode("abcd").map((token) => stream.push(token));
  t.same([...pieces, stream.end()], ["a", "", "", "", ""]);
  t.equal(stream.text, "a");
});

t.test("half a character before a stop string", async (t) => {
  const { pieces, rest } = streamed(bytes, raw(0x61, 0xe4, 0xb8, 0x53, 0x62), ["S"]);
  t.equal([...pieces, rest].join(""), "a\uFFFD");
});

t.test("an end without tokens", async (t) => {
  t.equal(new TextStream(bytes).end(), "");
});
