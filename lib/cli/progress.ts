import { SingleBar } from "cli-progress";
import { visible } from "../errors/visible.js";
import type { OperationOptions } from "../operation/operation.js";
import type { JsonOption } from "./output.js";

/** Milliseconds between two lines of progress in a log. */
const minute = 60_000;

const onTerminal = () => process.stderr.isTTY;

/** Writes a line to stderr if it is a terminal. With --json, stderr has only failures. */
export function tell(line: string, { json }: JsonOption): void {
  if (!json && onTerminal()) process.stderr.write(`${visible(line)}\n`);
}

/** Writes a line to stderr if it is not a terminal. */
export function log(line: string, { json }: JsonOption): void {
  if (!json && !onTerminal()) process.stderr.write(`attention-bypass: ${visible(line)}\n`);
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Returns a line such as "Sweeping, 42 % done, about 12 min left". */
export function progressLine(label: string, share: number, seconds: number): string {
  const left = share > 0 ? `, about ${duration(seconds * (1 / share - 1))} left` : "";
  return `${label}, ${Math.floor(100 * share)} % done${left}`;
}

async function withLog<Value>(
  label: string,
  work: (onProgress: OperationOptions["onProgress"]) => Promise<Value>,
  every: number,
): Promise<Value> {
  const began = performance.now();
  let last = 0;
  const timer = setInterval(() => log(progressLine(label, last, (performance.now() - began) / 1000), {}), every);
  try {
    return await work((share) => {
      last = share;
    });
  } finally {
    clearInterval(timer);
  }
}

/** Runs work and shows its progress: as a bar on a terminal, else as a line every minute. */
export async function withProgress<Value>(
  label: string,
  { json }: JsonOption,
  work: (onProgress: OperationOptions["onProgress"]) => Promise<Value>,
  every = minute,
): Promise<Value> {
  if (json) return work(undefined);
  if (!onTerminal()) return withLog(label, work, every);
  const bar = new SingleBar({
    format: `${label} {bar} {percentage}% {left}`,
    // The percentage and the time next to the bar take up to 30 columns.
    barsize: Math.max(5, Math.min(40, (process.stderr.columns ?? 80) - label.length - 30)),
    stream: process.stderr,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    clearOnComplete: true,
    // Otherwise it installs signal handlers that end the process.
    gracefulExit: false,
  });
  const began = performance.now();
  // The bar's own estimate uses only the last few reports, which come in bursts.
  const left = (share: number) => Math.ceil(((performance.now() - began) / 1000) * (1 / share - 1));
  bar.start(100, 0, { left: "" });
  try {
    return await work((share) => bar.update(100 * share, { left: share > 0 ? `${left(share)} s left` : "" }));
  } finally {
    bar.stop();
  }
}
