// An ES module: what the last blocks' attention carries of a secret, and of ordinary text.
import path from "node:path";
import { embeddedMeasures, embeddedModel, loadModel } from "attention-bypass";

const model = await loadModel(embeddedModel("gpt-neox"));
const secrets = path.join(embeddedMeasures(), "records.jsonl");
const bypass = { blocks: { quartile: 4 } };

const plain = await model.scoreMemorization(secrets, { metrics: ["exactMatch"] });
const without = await model.scoreMemorization(secrets, { metrics: ["exactMatch"], bypass });
console.log(
  `secrets completed: ${plain.exactMatch.toFixed(2)}, without the last quarter's attention ${without.exactMatch.toFixed(2)}`,
);
await model.dispose();
