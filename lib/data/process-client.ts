import type { ChildProcess } from "node:child_process";
import path from "node:path";
import { packageRoot } from "../addon/addon.js";
import { node } from "../files/node.js";
import { failureMessage } from "./failure-message.js";
import type { DataReply, DataRequest } from "./process-messages.js";

/** Reads bytes of the file for the process, which does not open files itself. */
export type BytesReader = (position: number, length: number) => Promise<Uint8Array>;

/** The milliseconds that starting may take, which are many on a very busy machine. */
const startDeadline = 60_000;

/** The limits of one request. */
export interface RequestLimits {
  /** Milliseconds after which a started process is killed. */
  deadline: number;
  signal: AbortSignal | undefined;
}

/**
 * A child process for work on untrusted files, which can make it loop, fill the memory, throw outside of any promise or
 * crash. A thread is not enough: for an array that is too long, V8 ends the whole process. It handles one request at a
 * time.
 */
export class DataProcess implements Disposable {
  readonly #child: ChildProcess = node.childProcess.spawn(
    process.execPath,
    [path.join(packageRoot, "dist", "data-process.js")],
    { stdio: ["ignore", "ignore", "ignore", "ipc"], serialization: "advanced" },
  );

  #started = false;

  constructor() {
    // The listeners of a request report errors. Without this one, an error between requests would end this process.
    this.#child.on("error", () => {});
  }

  /**
   * Sends a request and returns the answer. Throws plain errors with a message that fits in parentheses, and the
   * signal's reason.
   */
  ask(request: DataRequest, { deadline, signal }: RequestLimits, read?: BytesReader): Promise<unknown> {
    signal?.throwIfAborted();
    const child = this.#child;
    return new Promise((resolve, reject) => {
      const listeners = {
        message: (reply: DataReply) => {
          if ("ready" in reply) {
            this.#started = true;
            clearTimeout(timer);
            timer = within(deadline);
            return;
          }
          if ("value" in reply) return end(() => resolve(reply.value));
          if ("failure" in reply) return fail(new Error(reply.failure));
          const { position, length } = reply.read;
          const bytes = read?.(position, length) ?? Promise.reject(new Error("this request has no file to read"));
          bytes.then((bytes) => child.connected && child.send({ bytes } satisfies DataRequest), fail);
        },
        error: (error: Error) => fail(new Error(`its process failed: ${error.message}`)),
        exit: (code: number | null, name: string | null) =>
          fail(new Error(`its process needed more memory than allowed or crashed (${name ?? code})`)),
      };
      const abort = () => fail(signal?.reason);
      const within = (milliseconds: number) =>
        setTimeout(
          () => fail(new Error(`it takes longer than the allowed ${Math.round(milliseconds / 1000)} s`)),
          milliseconds,
        );
      let timer = within(this.#started ? deadline : startDeadline);
      function end(settle: () => void): void {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        for (const [name, listener] of Object.entries(listeners)) child.removeListener(name, listener);
        settle();
      }
      const fail = (error: unknown) => end(() => reject(error));
      for (const [name, listener] of Object.entries(listeners)) child.on(name, listener);
      signal?.addEventListener("abort", abort, { once: true });
      if (!child.connected) return fail(new Error("its process has ended"));
      try {
        child.send(request);
      } catch (error) {
        fail(new Error(failureMessage(error), { cause: error }));
      }
    });
  }

  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
  }
}
