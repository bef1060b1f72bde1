// A worker thread with its own model. The main thread receives the result as a message.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { embeddedModel, loadModel } from "attention-bypass";

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { workerData: "The" });
  worker.once("message", (text) => console.log(`from the worker: ${text}`));
} else {
  const model = await loadModel(embeddedModel(), { threads: 1 });
  const { text } = await model.generate(workerData, { maxNewTokens: 8 });
  await model.dispose();
  parentPort.postMessage(text);
}
