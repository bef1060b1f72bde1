// An ES module: how many memorized secrets a model still completes without the attention of the last quarter of its blocks.
import path from "node:path";
import { embeddedMeasures, embeddedModel, loadModel } from "attention-bypass";

const model = await loadModel(embeddedModel("gpt-neox"));
const secrets = path.join(embeddedMeasures(), "records.jsonl");
const bypass = { blocks: { quartile: 4 } };

const plain = await model.scoreMemorization(secrets, { metrics: ["exactMatch"] });
const without = await model.scoreMemorization(secrets, { metrics: ["exactMatch"], bypass });
console.log(
  `share of secrets completed: ${plain.exactMatch.toFixed(2)}, with the last quarter bypassed ${without.exactMatch.toFixed(2)}`,
);
await model.dispose();
