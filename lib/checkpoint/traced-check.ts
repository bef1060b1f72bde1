import type { ChildProcess } from "node:child_process";
import { stat } from "node:fs/promises";
import path from "node:path";
import type { Readable } from "node:stream";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { packageRoot } from "../addon/addon.js";
import type { Addon, NativeModel, NativeSource } from "../addon/native.js";
import { plainPlan } from "../bypass/bypass.js";
import { AttentionBypassError } from "../errors/errors.js";
import type { ModelConfig } from "../families/config.js";
import type { Dtype } from "../families/dtype.js";
import { node } from "../files/node.js";
import { run, untilAborted } from "../operation/operation.js";
import { toNativeRows } from "../tokenizer/tokens.js";
import type { TracedRequest } from "./traced-process.js";

/** The seconds of wall-clock time that a module has for each row, including its loading. */
const secondsForRow = 60;
/** The seconds of CPU time that a module has in total. */
const processorSeconds = 1800;
/** The memory limit of a module: `baseMemory` bytes and `weightsInMemory` times the size of its file. */
const baseMemory = 2 ** 31;
const weightsInMemory = 4;

/** A trace may only work for the length it was made with, so several are tried. One that agrees is enough. */
const lengths = [16, 24, 12, 8, 10, 20, 32, 64, 128];

/** The most bytes of a line with a shape or a failure. */
const longestHeader = 65_536;

/** The largest difference that rounding can cause, as a fraction of the largest logit. */
const tolerances = { single: 2e-4, half: 5e-2 };

/** The model that was loaded from a module's weights. */
export interface LoadedTrace {
  addon: Addon;
  native: NativeModel;
  config: ModelConfig;
  dtype: Dtype;
  weights: NativeSource;
}

function toleranceOf({ dtype, weights }: LoadedTrace): number {
  const single = dtype === "float32" && weights.tensors.every((tensor) => !/^B?F16$/.test(tensor.dtype));
  return single ? tolerances.single : tolerances.half;
}

/** Returns the same random tokens each time, so that a module that was accepted once is always accepted. */
function randomTokens(length: number, vocabularySize: number): Int32Array {
  const generator = xoroshiro128plus(2025 + length);
  return Int32Array.from({ length }, () => uniformInt(generator, 0, vocabularySize - 1));
}

/** Returns the largest difference as a fraction of the largest logit. */
function difference(ours: Float32Array, theirs: Float32Array): number {
  let largest = 0;
  let apart = 0;
  for (let index = 0; index < theirs.length; index++) {
    const value = theirs[index] as number;
    largest = Math.max(largest, Math.abs(value));
    apart = Math.max(apart, Math.abs(value - (ours[index] as number)));
  }
  return apart / largest;
}

/** A child process that runs the module. */
class TracedProcess {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<Buffer>;
  readonly #ended: Promise<string>;
  #received: Buffer = Buffer.alloc(0);

  constructor(file: string, memory: number) {
    const limits = JSON.stringify({ memory, seconds: processorSeconds });
    this.#child = node.childProcess.spawn(
      process.execPath,
      [path.join(packageRoot, "dist", "traced-process.js"), file, limits],
      { stdio: ["pipe", "ignore", "ignore", "pipe"] },
    );
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(`its process does not start: ${error.message}`));
      this.#child.once("exit", (code, signal) =>
        resolve(signal === null ? `it ended its process with exit code ${code}` : `it ended its process by ${signal}`),
      );
    });
    // If the module ends its process, these streams fail too; the exit code or signal is reported instead.
    this.#child.stdin?.on("error", () => {});
    const answers = this.#child.stdio[3] as Readable;
    answers.on("error", () => {});
    this.#answers = answers[Symbol.asyncIterator]();
  }

  /** Returns the logits of a row, or why there are none. Throws if the process can't be used any more. */
  async logits(tokens: Int32Array, vocabularySize: number): Promise<Float32Array | string> {
    const request: TracedRequest = { tokens: [...tokens], expected: [1, tokens.length, vocabularySize] };
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const header = await this.#header();
    if ("failure" in header) return header.failure;
    if (JSON.stringify(header.shape) !== JSON.stringify(request.expected)) {
      return `its logits have the shape (${header.shape.join(", ")}) for ${tokens.length} tokens`;
    }
    const bytes = await this.#take(4 * tokens.length * vocabularySize);
    return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  }

  end(): void {
    this.#child.kill("SIGKILL");
    this.#child.stdin?.destroy();
    (this.#child.stdio[3] as Readable).destroy();
  }

  async #header(): Promise<{ shape: number[] } | { failure: string }> {
    let end = this.#received.indexOf("\n");
    while (end < 0) {
      if (this.#received.length > longestHeader) throw new Error("its process sent an invalid answer");
      await this.#receive();
      end = this.#received.indexOf("\n");
    }
    const line = (await this.#take(end + 1)).toString("utf8");
    const header: unknown = JSON.parse(line);
    if (typeof header === "object" && header !== null) {
      if ("failure" in header) return { failure: String(header.failure).slice(0, 300) };
      if ("shape" in header && Array.isArray(header.shape)) return { shape: header.shape.map(Number) };
    }
    throw new Error("its process sent an invalid answer");
  }

  async #take(count: number): Promise<Buffer> {
    const parts = [this.#received];
    let length = this.#received.length;
    while (length < count) {
      const part = await this.#next();
      parts.push(part);
      length += part.length;
    }
    const all = Buffer.concat(parts, length);
    this.#received = all.subarray(count);
    return all.subarray(0, count);
  }

  async #receive(): Promise<void> {
    this.#received = Buffer.concat([this.#received, await this.#next()]);
  }

  async #next(): Promise<Buffer> {
    const { done, value } = await this.#answers.next();
    if (!done) return value;
    throw new Error(await this.#ended);
  }
}

const sleep = (seconds: number, signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const timer = setTimeout(() => reject(new Error(`it takes longer than ${seconds} s for one row`)), seconds * 1000);
    signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  });

/** Returns the value of `work`, or throws if it takes longer than `seconds`. */
async function within<Value>(seconds: number, work: Promise<Value>): Promise<Value> {
  const over = new AbortController();
  try {
    return await Promise.race([work, sleep(seconds, over.signal)]);
  } finally {
    over.abort();
  }
}

/**
 * Compares the logits of a traced module with those of the model that was loaded from its weights, on the same random
 * tokens. The module runs in a child process with limits on time, memory and files. Throws TRACE_FAILED if it can't be
 * run within its limits, and TRACE_DISAGREES if the logits differ by more than rounding in the dtype can cause.
 */
export async function checkAgainstTrace(model: LoadedTrace, file: string, signal?: AbortSignal): Promise<void> {
  const { addon, native, config } = model;
  const tolerance = toleranceOf(model);
  const ours = (tokens: Int32Array) =>
    run(addon, { signal }, (control) => native.logits(toNativeRows([tokens]), plainPlan(config), control));
  const { size } = await stat(file);
  const traced = new TracedProcess(file, baseMemory + weightsInMemory * size);
  let least = Number.POSITIVE_INFINITY;
  let reason = "it returned no logits";
  try {
    for (const length of lengths.filter((some) => some <= config.contextLength)) {
      const tokens = randomTokens(length, config.vocabularySize);
      const theirs = await untilAborted(
        within(secondsForRow, traced.logits(tokens, config.vocabularySize)).catch((error: Error) => {
          throw new AttentionBypassError(
            "TRACE_FAILED",
            `expected the traced module ${file} to run within its limits but ${error.message}; ` +
              "load the checkpoint that it was traced from, or omit the option trust",
          );
        }),
        signal,
      );
      if (typeof theirs === "string") {
        reason = theirs;
        continue;
      }
      const apart = difference(await ours(tokens), theirs);
      if (apart <= tolerance) return;
      if (Number.isNaN(apart)) reason = "its logits are not finite";
      else least = Math.min(least, apart);
    }
  } finally {
    traced.end();
  }
  if (least < Number.POSITIVE_INFINITY) reason = `they differ by ${least} times the largest logit`;
  throw new AttentionBypassError(
    "TRACE_DISAGREES",
    `expected the logits of the traced module ${file} to match those of its weights and config.json but ${reason}`,
  );
}
