// Tokenizers of strangers and texts of any length: refused, or done in bounded time, and never on the event loop.
import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { loadModel } from "attention-bypass";
import t, { type Test } from "tap";
import { AttentionBypassError } from "../lib/errors/errors.ts";
import { findTokenizer, readTokenizer } from "../lib/tokenizer/files.ts";
import { createTokenizer, type Tokenizer } from "../lib/tokenizer/tokenizer.ts";
import { copyOf, temporaryFolder } from "./support/fixtures.ts";
import { type Anything, refuses } from "./support/refusals.ts";
import { allBytes, characters67, writeByteTokenizer } from "./support/tokenizers.ts";

/** The longest time that the event loop was held while work ran. */
async function longestHold(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  await work().catch(() => undefined);
  clearInterval(timer);
  return Math.max(longest, performance.now() - last);
}

/** Asserts a refusal by the parts in lib/ that this file tests, whose error class is not that of the package. */
async function refusesHere(t: Test, name: string, work: () => unknown, code: string, ...said: string[]): Promise<void> {
  const error: unknown = await Promise.resolve()
    .then(work)
    .then(
      () => new Error("it was not refused"),
      (reason: unknown) => reason,
    );
  t.ok(error instanceof AttentionBypassError && error.code === code, `${name}: ${code}`, { error: String(error) });
  for (const part of said) t.ok(String(error).includes(part), `${name}: says ${part}`, { error: String(error) });
}

/** A wide margin: other processes share the machine. */
const mostHold = 1000;

const folder = await temporaryFolder(t);
await writeByteTokenizer(folder, allBytes);
const plain = await readTokenizer(folder);
const bytes: Tokenizer = await createTokenizer(plain, "bytes");
const model = plain.model as Anything;

const made = (changes: object): Promise<Tokenizer> => createTokenizer({ ...plain, ...changes }, "it");

t.test("long text does not hold the event loop, and an abort ends it", async (t) => {
  const text = "é".repeat(500_000);
  const hold = await longestHold(async () => t.equal((await bytes.encodeAsync(text)).length, 1_000_000));
  t.ok(hold < mostHold, "the event loop goes on", { hold });
  const controller = new AbortController();
  const reason = new Error("enough");
  const began = performance.now();
  setTimeout(() => controller.abort(reason), 20);
  const other = bytes.encodeAsync("a".repeat(20_000));
  await t.rejects(bytes.encodeAsync("a".repeat(20_000_000), { signal: controller.signal }), reason);
  t.ok(performance.now() - began < 5000, "at once");
  t.equal((await other).length, 20_000, "another text is encoded all the same");
  await t.rejects(bytes.encodeAsync("a", { signal: controller.signal }), reason);
});

t.test("calls with text that can't fit", async (t) => {
  const copy = await copyOf("neox-serial", t);
  await writeByteTokenizer(copy, allBytes);
  const loaded = await loadModel(copy, { device: "cpu" });
  const text = "a".repeat(50_000_000);
  const began = performance.now();
  await refuses(t, "generate", () => loaded.generate(text), "CONTEXT_TOO_LONG", "prompt", "50000000 characters");
  await refuses(t, "generate", () => loaded.generate(["a", text]), "CONTEXT_TOO_LONG", "prompts[1]");
  await refuses(t, "logits", () => loaded.logits(text), "CONTEXT_TOO_LONG", "tokens");
  t.ok(performance.now() - began < mostHold, "is refused before it is encoded");
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("gone")), 20);
  await t.rejects(loaded.perplexity(text, { signal: controller.signal }), { message: "gone" });
  await loaded.dispose();
});

t.test("what is no text and no tokens", async (t) => {
  for (const value of [undefined, null, 5, ["a"], {}] as Anything[]) {
    await refusesHere(t, "encode", () => bytes.encode(value), "INVALID_ARGUMENT", "text");
    await refusesHere(t, "encodeAsync", () => bytes.encodeAsync(value), "INVALID_ARGUMENT", "text");
  }
  for (const value of [undefined, null, 5, "5", {}, new DataView(new ArrayBuffer(8))] as Anything[]) {
    await refusesHere(t, "decode", () => bytes.decode(value), "INVALID_ARGUMENT", "tokens");
  }
  for (const value of [-1, 1.5, Number.NaN, "x", 2 ** 40] as Anything[]) {
    await refusesHere(t, "decode", () => bytes.decode([1, value]), "TOKEN_OUT_OF_RANGE", "tokens", "position 1");
  }
  t.equal(bytes.decode([66, 100_000, 67]), "AB", "an id that the tokenizer does not have is no text, as in Python");
});

t.test("a pattern that backtracks", async (t) => {
  const pattern = { Regex: "^(a+)+$" };
  const split = { type: "Split", pattern, behavior: "Isolated", invert: false };
  const slow = await made({ pre_tokenizer: { type: "Sequence", pretokenizers: [split, plain.pre_tokenizer] } });
  const text = `${"a".repeat(40)}!`;
  await refusesHere(t, "encode", () => slow.encode(text), "TOKENIZER_INVALID", "timed out");
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error("enough")), 500);
  const hold = await longestHold(() => slow.encodeAsync(text, { signal: controller.signal }));
  t.ok(hold < mostHold, "a call leaves the event loop alone", { hold });
  t.same(Array.from(await slow.encodeAsync("aaa!")), [98, 98, 98, 34], "and other texts go on");
});

t.test("normalizers that multiply a text", async (t) => {
  const replace = (count: number, pattern: object, content: string) => ({
    normalizer: { type: "Sequence", normalizers: Array(count).fill({ type: "Replace", pattern, content }) },
  });
  for (const changes of [replace(40, { String: "a" }, "aa"), replace(40, { Regex: "a" }, "aa")]) {
    await refusesHere(t, "40 steps", () => made(changes), "TOKENIZER_INVALID", "1024 times longer");
  }
  const tokenizer = await made(replace(2, { String: "a" }, "aa"));
  t.same(tokenizer.encode("a"), [98, 98, 98, 98], "a few are as they are");
  t.same(Array.from(await tokenizer.encodeAsync("a")), [98, 98, 98, 98]);
});

t.test("tokenizers that can't be", async (t) => {
  const vocab = model.vocab;
  const token = { id: 300, content: "x!", special: true };
  const nested = (depth: number): object =>
    depth === 0 ? { type: "NFC" } : { type: "Sequence", normalizers: [nested(depth - 1)] };
  for (const [changes, ...said] of [
    [{ model: { ...model, vocab: [] } }, "model.vocab"],
    [{ model: { ...model, vocab: { ...vocab, a: -1 } } }, "-1"],
    [{ model: { ...model, vocab: { ...vocab, a: 2 ** 40 } } }, "1099511627776"],
    [{ model: { ...model, vocab: { ...vocab, a: 0.5 } } }, "0.5"],
    [{ model: { ...model, merges: "a b" } }, "model.merges"],
    [{ model: { ...model, merges: ["a"] } }, "model.merges[0]"],
    [{ model: { ...model, merges: [["a", "b", "c"]] } }, "model.merges[0]"],
    [{ model: { ...model, merges: ["a b"] } }, '"ab"', "not in the vocabulary"],
    [{ model: { ...model, dropout: 0.1 } }, "dropout"],
    [{ added_tokens: [{ ...token, id: -1 }] }, "added_tokens"],
    [{ added_tokens: [{ ...token, id: 1e9 }] }, "1000000000"],
    [{ added_tokens: [{ ...token, content: "x".repeat(5000) }] }, "1024"],
    [{ added_tokens: [{ ...token, content: "a" }] }, "one id", '"a"'],
    [{ added_tokens: [token, { ...token, content: "y!" }] }, "one token for the id 300"],
    [{ normalizer: { type: "Sequence", normalizers: Array(1000).fill({ type: "NFC" }) } }, "64 steps"],
    [{ pre_tokenizer: { type: "Sequence", pretokenizers: 5 } }, "a list of steps"],
    [{ pre_tokenizer: { type: "Abacus" } }, "Abacus"],
    [{ decoder: 5 }, "decoder"],
  ] as [object, ...string[]][]) {
    await refusesHere(t, JSON.stringify(changes).slice(0, 60), () => made(changes), "TOKENIZER_INVALID", ...said);
  }
  const error = await made({ normalizer: nested(5000) }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  t.ok(error === undefined || error instanceof AttentionBypassError, "nested sequences");
});

t.test("files that are none", async (t) => {
  const place = await temporaryFolder(t);
  execFileSync("mkfifo", [path.join(place, "tokenizer.json")]);
  await refusesHere(t, "a pipe", () => findTokenizer(place), "TOKENIZER_INVALID", "tokenizer.json");
  await refusesHere(t, "a device", () => readTokenizer("/dev/zero"), "TOKENIZER_INVALID", "/dev/zero");
});

t.test("merges.txt with CRLF, added_tokens.json and tokenizer_config.json", async (t) => {
  const place = await temporaryFolder(t);
  await writeByteTokenizer(place, characters67);
  const { vocab } = (await readTokenizer(place)).model as Anything;
  await writeFile(path.join(place, "vocab.json"), JSON.stringify({ ...vocab, ab: 64 + 4 }));
  await writeFile(path.join(place, "merges.txt"), "#version: 0.2\r\na b\r\n");
  const encode = async (text: string) => (await createTokenizer(await readTokenizer(place), "it")).encode(text);
  t.same(await encode("ab"), [68], "a merge");
  const [a, space] = [vocab.a, vocab.Ġ];

  await writeFile(path.join(place, "added_tokens.json"), JSON.stringify({ "<new>": 70 }));
  t.same(await encode("a<new>a"), [a, 70, a], "an added token");
  const decoder = { 71: { content: "<own>", lstrip: true, special: true } };
  await writeFile(
    path.join(place, "tokenizer_config.json"),
    JSON.stringify({ add_prefix_space: true, added_tokens_decoder: decoder, eos_token: "b" }),
  );
  t.same(await encode("a  <own>a"), [space, a, 71, space, a], "its flags, and a space before each part");
  t.same(await encode("ab"), [space, a, vocab.b], "a named token is not merged");
  await writeFile(path.join(place, "tokenizer_config.json"), '{"added_tokens_decoder": {"5": {"content": "<own>"}}}');
  await refusesHere(t, "a taken id", () => encode("a"), "TOKENIZER_INVALID", "id");
  await writeFile(path.join(place, "tokenizer_config.json"), '{"add_prefix_space": "yes"}');
  await refusesHere(
    t,
    "a wrong type",
    () => encode("a"),
    "TOKENIZER_INVALID",
    "add_prefix_space",
    "tokenizer_config.json",
  );
});
