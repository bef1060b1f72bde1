import { SingleBar } from "cli-progress";
import type { OperationOptions } from "../operation.js";
import type { JsonOption } from "./output.js";

/** Runs work under a progress bar, where somebody can see one. */
export async function withProgress<Value>(
  label: string,
  { json }: JsonOption,
  work: (onProgress: OperationOptions["onProgress"]) => Promise<Value>,
): Promise<Value> {
  if (json || !process.stderr.isTTY) return work(undefined);
  const bar = new SingleBar({
    format: `${label} {bar} {percentage}% {left}`,
    stream: process.stderr,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    clearOnComplete: true,
    // It would listen for signals itself, and end the process.
    gracefulExit: false,
  });
  const began = performance.now();
  // The bar's own estimate looks at the last few reports alone, which come in bursts.
  const left = (share: number) => Math.ceil(((performance.now() - began) / 1000) * (1 / share - 1));
  bar.start(100, 0, { left: "" });
  try {
    return await work((share) => bar.update(100 * share, { left: share > 0 ? `${left(share)} s left` : "" }));
  } finally {
    bar.stop();
  }
}
