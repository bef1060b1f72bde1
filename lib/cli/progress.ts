import { SingleBar } from "cli-progress";
import type { OperationOptions } from "../operation.js";
import { visible } from "../visible.js";
import type { JsonOption } from "./output.js";

const seen = ({ json }: JsonOption) => !json && process.stderr.isTTY;

/** A line about the work, where somebody can see it. */
export function tell(line: string, options: JsonOption): void {
  if (seen(options)) process.stderr.write(`${visible(line)}\n`);
}

/** Runs work under a progress bar, where somebody can see one. */
export async function withProgress<Value>(
  label: string,
  options: JsonOption,
  work: (onProgress: OperationOptions["onProgress"]) => Promise<Value>,
): Promise<Value> {
  if (!seen(options)) return work(undefined);
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
