// Against Python at the time of the test: archives run there, and perplexity comes out the same.
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { convert, loadModel } from "attention-bypass";
import t from "tap";
import { fixture, readExpected, temporaryFolder } from "./support/fixtures.ts";
import { noPython, python, reference } from "./support/python.ts";
import { shared, skipReason } from "./support/shared.ts";

t.setTimeout(600_000);
const interpreter = python() ?? "";
const withoutPython = interpreter === "" && noPython;

for (const name of ["neox-serial", "neo-types", "neo-attention-layers", "neox-tied"]) {
  t.test(`an archive of ${name} runs in Python with the same logits`, { skip: withoutPython }, async (t) => {
    const folder = await temporaryFolder(t);
    const archive = path.join(folder, "model.pt");
    const rows = path.join(folder, "rows.json");
    const { input_ids } = readExpected(fixture(name));
    await convert(fixture(name), archive, { dtype: "float32" });
    await writeFile(rows, JSON.stringify(input_ids));
    const theirs = await reference<number[]>(interpreter, "run_archive.py", [archive, rows]);
    const model = await loadModel(archive, { device: "cpu" });
    const { data } = await model.logits(input_ids);
    await model.dispose();
    t.equal(theirs.length, data.length);
    const largest = Math.max(...theirs.map(Math.abs));
    t.ok(theirs.every((value, index) => Math.abs(value - (data[index] as number)) <= 1e-5 * largest));
  });
}

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
    const model = await loadModel(folder as string, { tokenizer: tokenizerPlace, device: "cpu" });
    const ids = model.tokenizer?.encode(readFileSync(text, "utf8")).slice(0, 2000) as number[];
    for (const [contextLength, stride] of [
      [512, 256],
      [512, 511],
      [100, 30],
    ] as const) {
      const settings = [tokens, String(contextLength), String(stride)];
      const theirs = await reference<{ perplexity: number; tokens: number[] }>(interpreter, "perplexity.py", [
        folder as string,
        ...settings,
        "--tokenize",
        text,
        tokenizerPlace,
        "2000",
      ]);
      t.same(ids, theirs.tokens, "tokens");
      const ours = await model.perplexity(ids, { contextLength, stride });
      t.equal(ours.tokenCount, 1999);
      t.ok(Math.abs(ours.perplexity / theirs.perplexity - 1) <= 1e-4, `windows of ${contextLength} by ${stride}`);
    }
    await model.dispose();
  });
}
