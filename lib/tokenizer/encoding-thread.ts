import path from "node:path";
import type { Worker } from "node:worker_threads";
import { packageRoot } from "../addon/addon.js";
import { AttentionBypassError } from "../errors/errors.js";
import { node } from "../files/node.js";
import type { EncodeAnswer, EncodeWorkerData } from "./encode-worker.js";
import type { TokenizerJson } from "./tokenizer-json.js";

/**
 * Milliseconds. A million characters take about a second, or several on a slow machine; the rest is for slow patterns
 * and for starting the thread.
 */
const shortestDeadline = 20_000;
const deadlinePerCharacter = 0.05;
/** The milliseconds without work after which the thread ends. */
const idleTime = 5000;
/** The heap limit of the thread. At the limit only the thread ends, not the process. */
const mostMemoryMb = 2048;

/** A text to encode. */
interface Job {
  text: string;
  resolve(ids: Int32Array): void;
  reject(reason: unknown): void;
}

/** A worker thread that encodes texts one after the other. It starts with the first text and ends when it is idle. */
export class EncodingThread {
  #worker: Worker | undefined;
  #running: Job | undefined;
  readonly #waiting: Job[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly json: TokenizerJson,
    private readonly name: string,
  ) {}

  /**
   * Returns the token ids of a text. An abort rejects with the signal's reason, and ends the thread if it is encoding
   * this text.
   */
  async encode(text: string, signal: AbortSignal | undefined): Promise<Int32Array> {
    let job: Job | undefined;
    const abort = () => job && this.#drop(job, signal?.reason);
    try {
      return await new Promise<Int32Array>((resolve, reject) => {
        job = { text, resolve, reject };
        this.#waiting.push(job);
        signal?.addEventListener("abort", abort, { once: true });
        this.#next();
      });
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  #next(): void {
    if (this.#running) return;
    clearTimeout(this.#timer);
    const job = this.#waiting.shift();
    if (!job) {
      this.#worker?.unref();
      this.#timer = setTimeout(() => this.#end(), idleTime).unref();
      return;
    }
    this.#running = job;
    this.#worker ??= this.#start();
    const worker = this.#worker;
    worker.ref();
    worker.postMessage(job.text);
    const deadline = shortestDeadline + deadlinePerCharacter * job.text.length;
    const seconds = (deadline / 1000).toFixed(0);
    this.#timer = setTimeout(() => this.#drop(job, this.#failure(`it took longer than ${seconds} s`)), deadline);
  }

  #start(): Worker {
    const file = path.join(packageRoot, "dist", "encode-worker.js");
    const workerData: EncodeWorkerData = { json: this.json, name: this.name };
    const { Worker } = node.workerThreads;
    const worker = new Worker(file, {
      workerData,
      // Without the process's own flags, which may load other programs, such as a compiler for its sources.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: mostMemoryMb },
    });
    worker.on("message", (answer: EncodeAnswer) => {
      if (worker !== this.#worker) return;
      if ("ids" in answer) this.#finish((job) => job.resolve(answer.ids));
      else this.#finish((job) => job.reject(this.#failure(answer.failure)));
    });
    worker.on("error", (error) => {
      if (worker !== this.#worker) return;
      this.#end();
      this.#finish((job) => job.reject(this.#threadFailure(error, job.text.length)));
    });
    return worker;
  }

  #finish(settle: (job: Job) => void): void {
    const job = this.#running;
    this.#running = undefined;
    if (job) settle(job);
    this.#next();
  }

  /** Rejects a job, waiting or running. */
  #drop(job: Job, reason: unknown): void {
    const place = this.#waiting.indexOf(job);
    if (place >= 0) this.#waiting.splice(place, 1);
    job.reject(reason);
    if (job !== this.#running) return;
    this.#end();
    this.#finish(() => undefined);
  }

  #end(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
  }

  #failure(reason: string): AttentionBypassError {
    return new AttentionBypassError(
      "TOKENIZER_INVALID",
      `expected the tokenizer of ${this.name} to encode text but ${reason}`,
    );
  }

  #threadFailure(error: unknown, characters: number): AttentionBypassError {
    if ((error as NodeJS.ErrnoException).code !== "ERR_WORKER_OUT_OF_MEMORY") {
      return this.#failure((error as Error).message);
    }
    return new AttentionBypassError(
      "OUT_OF_MEMORY",
      `expected to encode a text of ${characters} characters in ${mostMemoryMb} MiB but it needs more; split the text`,
      { cause: error },
    );
  }
}
