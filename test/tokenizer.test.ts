// The package's tokenizer against Hugging Face's; see test/fixtures/generate_tokens.py.
import { readFileSync } from "node:fs";
import { cp, writeFile } from "node:fs/promises";
import path from "node:path";
import { loadModel } from "attention-bypass";
import t from "tap";
import { readTokenizer } from "../lib/tokenizer/files.ts";
import { createTokenizer } from "../lib/tokenizer/tokenizer.ts";
import { fixture, temporaryFolder } from "./support/fixtures.ts";
import { shared, skipReason } from "./support/shared.ts";
import { characters67, writeByteTokenizer } from "./support/tokenizers.ts";

interface Cases {
  texts: { text: string; ids: number[]; decoded: string }[];
  ids: { ids: number[]; decoded: string }[];
}

const file = path.join(import.meta.dirname, "fixtures", "tokens.json");
const expected: Record<string, Cases> = JSON.parse(readFileSync(file, "utf8"));

/** A text as a test's name shows it, on one line whatever it holds. */
const named = (text: string): string => JSON.stringify(text).replace(/[^ -~]/gu, (character) => encodeURI(character));

for (const [name, names] of [
  ["gpt-neox-20b", ["gpt-neox-20b.tokenizer.json"]],
  ["gpt2", ["gpt2"]],
] as const) {
  const place = shared("data", "tokenizers", ...names);
  t.test(name, { skip: place === undefined && skipReason }, async (t) => {
    const tokenizer = await createTokenizer(await readTokenizer(place as string), name);
    const { texts, ids } = expected[name] as Cases;
    for (const { text, ids, decoded } of texts) {
      const title = named(text);
      t.same(tokenizer.encode(text), ids, `encode ${title}`);
      t.equal(tokenizer.decode(ids), decoded, `decode ${title}`);
      t.equal(tokenizer.decode(Int32Array.from(ids)), decoded, `decode ${title} from a typed array`);
    }
    for (const { ids: list, decoded } of ids) t.equal(tokenizer.decode(list), decoded, `decode ${list}`);
  });
}

t.test("a model takes the tokenizer beside it, the one it is given, and none", async (t) => {
  const text = "it writes text";
  const chosen = await temporaryFolder(t);
  await writeByteTokenizer(chosen, characters67);
  const folder = await temporaryFolder(t);
  await cp(fixture("neox-serial"), folder, { recursive: true });

  const without = await loadModel(folder, { device: "cpu" });
  t.equal(without.tokenizer, undefined);
  const given = await loadModel(folder, { device: "cpu", tokenizer: chosen });
  t.equal(given.tokenizer?.decode(given.tokenizer.encode(text)), text);

  await cp(chosen, folder, { recursive: true });
  const beside = await loadModel(folder, { device: "cpu" });
  const ids = beside.tokenizer?.encode(text) as number[];
  t.equal(ids.length, text.length);
  t.same(await beside.logits(text), await without.logits(ids), "text and its ids are one");
  const [generation] = await beside.generate([text], { maxNewTokens: 5, stopAtEndOfText: false });
  t.equal(generation?.text, beside.tokenizer?.decode(generation?.tokens as number[]));
  t.equal((await without.generate(ids, { maxNewTokens: 5 })).text, undefined);

  const json = path.join(chosen, "other.json");
  await writeFile(json, JSON.stringify(await readTokenizer(chosen)));
  const fromFile = await loadModel(folder, { device: "cpu", tokenizer: json });
  t.same(fromFile.tokenizer?.encode(text), ids, "from one file");
  for (const model of [without, given, beside, fromFile]) await model.dispose();
});

t.test("no tokens are added, whatever the tokenizer would add", async (t) => {
  const folder = await temporaryFolder(t);
  await writeByteTokenizer(folder, characters67);
  const template = (ids: string[]) =>
    ids.map((id) => (id.length === 1 ? { Sequence: { id, type_id: 0 } } : { SpecialToken: { id, type_id: 0 } }));
  const post_processor = {
    type: "TemplateProcessing",
    single: template(["<|endoftext|>", "A"]),
    pair: template(["<|endoftext|>", "A", "B"]),
    special_tokens: { "<|endoftext|>": { id: "<|endoftext|>", ids: [0], tokens: ["<|endoftext|>"] } },
  };
  const plain = await readTokenizer(folder);
  const ids = (await createTokenizer(plain, "plain")).encode("text");
  t.equal(ids.length, 4);
  t.same((await createTokenizer({ ...plain, post_processor }, "adding")).encode("text"), ids);
});

t.test("no tokens are no text", async (t) => {
  const folder = await temporaryFolder(t);
  await writeByteTokenizer(folder, characters67);
  const tokenizer = await createTokenizer(await readTokenizer(folder), "bytes");
  t.equal(tokenizer.decode([]), "");
  t.equal(tokenizer.decode(new Int32Array(0)), "");
  t.same(tokenizer.encode(""), []);
});
