// Against Python at the time of the test: archives run there, and perplexity comes out the same.
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { convert, loadModel } from "attention-bypass";
import t from "tap";
import { fixture, readExpected, temporaryFolder } from "./support/fixtures.ts";
import { noPython, python, references } from "./support/python.ts";
import { shared, skipReason } from "./support/shared.ts";

t.setTimeout(600_000);
const interpreter = python() ?? "";
const withoutPython = interpreter === "" && noPython;

const archived = ["neox-serial", "neo-types", "neo-attention-layers", "neox-tied"];

t.test("archives run in Python with the same logits", { skip: withoutPython }, async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => path.join(folder, name);
  for (const name of archived) {
    await convert(fixture(name), at(`${name}.pt`), { dtype: "float32" });
    await writeFile(at(`${name}.json`), JSON.stringify(readExpected(fixture(name)).input_ids));
  }
  const lists = archived.map((name) => [at(`${name}.pt`), at(`${name}.json`)]);
  const logits = await references<number[]>(interpreter, "run_archive.py", lists);
  for (const [index, name] of archived.entries()) {
    const theirs = logits[index] as number[];
    await using model = await loadModel(at(`${name}.pt`), { device: "cpu" });
    const { data } = await model.logits(readExpected(fixture(name)).input_ids);
    t.equal(theirs.length, data.length, name);
    const largest = Math.max(...theirs.map(Math.abs));
    t.ok(
      theirs.every((value, at) => Math.abs(value - (data[at] as number)) <= 1e-5 * largest),
      name,
    );
  }
});

const models = [
  { name: "pythia-study", tokenizer: "gpt-neox-20b.tokenizer.json" },
  { name: "gpt-neo-study", tokenizer: "gpt2" },
];

for (const { name, tokenizer } of models) {
  const folder = shared("study", name);
  const skip = (folder === undefined && skipReason) || withoutPython;
  t.test(`perplexity of WikiText-2 on ${name} is Hugging Face's`, { skip }, async (t) => {
    const text = shared("data", "text", "wikitext2.test.raw") as string;
    const tokenizerPlace = shared("data", "tokenizers", tokenizer) as string;
    const tokens = path.join(await temporaryFolder(t), "tokens.json");
    const model = await loadModel(folder as string, { tokenizer: tokenizerPlace, device: "cpu", threads: 1 });
    const ids = model.tokenizer?.encode(readFileSync(text, "utf8")).slice(0, 1000) as number[];
    const windows = [
      { contextLength: 512, stride: 256 },
      { contextLength: 512, stride: 511 },
      { contextLength: 100, stride: 30 },
    ];
    const lists = windows.map(({ contextLength, stride }) => [
      ...[folder as string, tokens, String(contextLength), String(stride)],
      ...["--tokenize", text, tokenizerPlace, "1000"],
    ]);
    const all = await references<{ perplexity: number; tokens: number[] }>(interpreter, "perplexity.py", lists);
    for (const [index, window] of windows.entries()) {
      const theirs = all[index];
      t.same(ids, theirs?.tokens, "tokens");
      const ours = await model.perplexity(ids, window);
      t.equal(ours.tokenCount, 999);
      const name = `windows of ${window.contextLength} by ${window.stride}`;
      t.ok(Math.abs(ours.perplexity / (theirs?.perplexity ?? Number.NaN) - 1) <= 1e-4, name);
    }
    await model.dispose();
  });
}
