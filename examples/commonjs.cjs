// CommonJS: streams generated text.
const { embeddedModel, loadModel } = require("attention-bypass");

async function main() {
  const model = await loadModel(embeddedModel("gpt-neo"));
  for await (const { text } of model.stream("Why was it that", { maxNewTokens: 16 })) process.stdout.write(text ?? "");
  process.stdout.write("\n");
  await model.dispose();
}

main();
