// The main job on a model, from a fresh clone: npm run demo [-- --model FOLDER --tokens 1,2,3]
import { spawnSync } from "node:child_process";
import path from "node:path";
import { parseArgs } from "node:util";

const root = path.join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: {
    model: { type: "string", default: path.join(root, "test", "fixtures", "models", "neox-serial") },
    tokens: { type: "string", default: "5,17,42,8,23,61" },
  },
});

const { status } = spawnSync(process.execPath, [path.join(root, "scripts", "setup.mjs")], { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

const { loadModel } = await import("attention-bypass");
const model = await loadModel(values.model);
const prompt = values.tokens.split(",").map(Number);
console.log(model);

const { tokens } = await model.generate(prompt, { maxNewTokens: 16, stopAtEndOfText: false });
console.log(`\nGreedy continuation of ${prompt.join(" ")}: ${tokens.join(" ")}`);

// What the model has just said is, by construction, what it knows by heart.
const row = [...prompt, ...tokens];
const measure = async (name, bypass) => {
  const scores = await model.scoreMemorization([row], { prefixLength: prompt.length, bypass });
  const { perplexity } = await model.perplexity(row, { bypass });
  return {
    bypass: name,
    "exact match": scores.exactMatch,
    "token accuracy": Number(scores.tokenAccuracy.toFixed(3)),
    entropy: Number(scores.completionEntropy.toFixed(2)),
    perplexity: Number(perplexity.toFixed(2)),
  };
};
const table = [await measure("none")];
for (const mode of ["zero", "short-circuit"]) {
  for (let block = 0; block < model.config.blockCount; block++) {
    table.push(await measure(`block ${block}, ${mode}`, { blocks: [block], mode }));
  }
}
console.log("\nThat continuation, scored as a memorized suffix, with the attention of one block bypassed:");
console.table(table);
if (values.model.startsWith(root))
  console.log("The model of this demo has random weights: it shows the workings, and nothing about trained models.");
await model.dispose();
