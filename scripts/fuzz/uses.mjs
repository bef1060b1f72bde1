// The uses of the files of a case, through the package's public API. Each returns results, whose numbers must be finite, and throws
// what the package throws.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { convert, createReport, loadModel, recommend, selectivity } from "attention-bypass";

const here = { device: "cpu", threads: 1 };
const words = ["the man", "", "  two\n\n spaces <|endoftext|> \u{1f600}é\u0000"];

/** The sweep that wrote the prepared resume file. */
export const sweepOptions = (resume) => ({
  samples: [
    [1, 2, 3, 4, 5, 6],
    [9, 8, 7, 6, 5, 4],
  ],
  prefixLength: 3,
  ...(resume && { resume }),
});

let base;
/** The model that scores data, loaded once. */
const baseModel = () => (base ??= loadModel(path.join(process.env.FUZZ_PREPARED, "base"), here));

async function withModel(place, options, work) {
  const model = await loadModel(place, { ...here, ...options });
  try {
    return await work(model);
  } finally {
    await model.dispose();
  }
}

async function callAll(model) {
  const results = [await model.logits([1, 2, 0]), await model.generate([1, 2], { maxNewTokens: 3 })];
  results.push(await model.perplexity([1, 2, 3, 4], { bypass: { blocks: [0] } }));
  if (model.tokenizer) {
    for (const text of words) model.tokenizer.decode(model.tokenizer.encode(text));
    results.push(await model.generate("the", { maxNewTokens: 2 }));
  }
  return results;
}

export const uses = {
  async model(folder, { file, trust, choice }) {
    const place = file === undefined ? folder : path.join(folder, file);
    const options = {
      ...(trust && { trust }),
      ...(choice % 5 === 0 && { offload: true }),
      ...(choice % 7 === 1 && { dtype: "bfloat16" }),
    };
    if (choice % 11 === 0) {
      await convert(place, path.join(folder, "out.pt"));
      return withModel(path.join(folder, "out.pt"), {}, callAll);
    }
    return withModel(place, options, callAll);
  },
  tokenizer: (folder) => withModel(path.join(process.env.FUZZ_PREPARED, "base"), { tokenizer: folder }, callAll),
  async samples(folder, { file, choice }) {
    const model = await baseModel();
    const options = { prefixLength: 4, ...(choice % 3 === 0 && { rows: 2 }) };
    return model.scoreMemorization(path.join(folder, file), options);
  },
  async task(folder, { task }) {
    const model = await baseModel();
    const name = task.endsWith(".json") ? path.join(folder, task) : task;
    const rows = ["rows.jsonl", "rows.parquet"].map((one) => path.join(folder, one));
    const { access } = await import("node:fs/promises");
    const data = await access(rows[0]).then(
      () => rows[0],
      () => rows[1],
    );
    return model.benchmark(name, { data, rows: 4 });
  },
  async "sweep result"(folder) {
    let sweep;
    try {
      sweep = JSON.parse(await readFile(path.join(folder, "sweep.json"), "utf8"));
    } catch {
      return "no JSON";
    }
    const results = [];
    let thrown;
    // All are called, even if one throws.
    for (const ask of [() => recommend(sweep), () => selectivity(sweep), () => createReport(sweep)]) {
      try {
        // Settings contain the arguments unchanged.
        const { settings, ...result } = ask();
        results.push(result);
      } catch (error) {
        if (error?.name !== "AttentionBypassError") throw error;
        thrown = error;
      }
    }
    if (thrown) throw thrown;
    return results;
  },
  async resume(folder) {
    const model = await baseModel();
    const { settings, ...sweep } = await model.sweep(sweepOptions(path.join(folder, "resume.jsonl")));
    return sweep;
  },
};
