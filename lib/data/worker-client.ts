import path from "node:path";
import { Worker } from "node:worker_threads";
import { packageRoot } from "../addon.js";
import type { WorkerReply, WorkerRequest } from "./worker-messages.js";

/** The heap of a worker: beyond it the worker ends, not the process. */
const heapMebibytes = 1024;

/** Reads bytes for the worker, which has no file of its own. */
export type BytesReader = (position: number, length: number) => Promise<Uint8Array>;

/** Limits of one request. */
export interface RequestLimits {
  /** Milliseconds after which the worker is ended. */
  deadline: number;
  signal: AbortSignal | undefined;
}

/**
 * A thread for what files of strangers may make loop, fill memory or fail outside of every promise: it is ended, and the
 * process goes on. Requests come one after the other.
 */
export class DataWorker implements AsyncDisposable {
  readonly #worker = new Worker(path.join(packageRoot, "dist", "data-worker.js"), {
    resourceLimits: { maxOldGenerationSizeMb: heapMebibytes },
    execArgv: [],
    env: {},
  });

  /** What the worker answers. Throws plain errors that say what went wrong, and the signal's reason. */
  ask(request: WorkerRequest, { deadline, signal }: RequestLimits, read?: BytesReader): Promise<unknown> {
    signal?.throwIfAborted();
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        worker.removeAllListeners("message");
        // What a worker that has been ended still says is nobody's any more.
        worker.removeAllListeners("error").on("error", () => {});
        worker.removeAllListeners("exit");
        settle();
      };
      const fail = (error: unknown) => end(() => reject(error));
      const abort = () => fail(signal?.reason);
      const timer = setTimeout(
        () => fail(new Error(`it takes longer than the ${Math.round(deadline / 1000)} s that it may`)),
        deadline,
      );
      signal?.addEventListener("abort", abort, { once: true });
      worker.removeAllListeners("error").on("error", (error: NodeJS.ErrnoException) => {
        const full = error.code === "ERR_WORKER_OUT_OF_MEMORY";
        fail(full ? new Error(`it takes more memory than the ${heapMebibytes} MiB that it may`) : error);
      });
      worker.on("exit", () => fail(new Error("its thread ended")));
      worker.on("message", (reply: WorkerReply) => {
        if ("value" in reply) return end(() => resolve(reply.value));
        if ("failure" in reply) return fail(new Error(reply.failure));
        const { position, length } = reply.read;
        (read?.(position, length) ?? Promise.reject(new Error("nothing can be read"))).then(
          (bytes) => worker.postMessage({ bytes } satisfies WorkerRequest),
          fail,
        );
      });
      worker.postMessage(request);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
