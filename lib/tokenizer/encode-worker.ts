// Encodes long texts on a worker thread, which can be terminated while it encodes.
import { parentPort, workerData } from "node:worker_threads";
import { loadLibrary } from "./library.js";
import { Pipeline } from "./pipeline.js";
import type { TokenizerJson } from "./tokenizer-json.js";

/** The data that the thread is started with. */
export interface EncodeWorkerData {
  json: TokenizerJson;
  name: string;
}

/** The reply for one text. */
export type EncodeAnswer = { ids: Int32Array } | { failure: string };

const { json, name } = workerData as EncodeWorkerData;
const pipeline = new Pipeline(await loadLibrary(), json, name);

parentPort?.on("message", (text: string) => {
  try {
    const ids = Int32Array.from(pipeline.encode(text));
    parentPort?.postMessage({ ids } satisfies EncodeAnswer, [ids.buffer]);
  } catch (error) {
    parentPort?.postMessage({ failure: (error as Error).message } satisfies EncodeAnswer);
  }
});
