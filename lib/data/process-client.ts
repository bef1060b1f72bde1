import type { ChildProcess } from "node:child_process";
import path from "node:path";
import { packageRoot } from "../addon/addon.js";
import { node } from "../files/node.js";
import { failureMessage } from "./failure-message.js";
import type { DataReply, DataRequest } from "./process-messages.js";

/** Reads bytes for the process, which opens no file itself. */
export type BytesReader = (position: number, length: number) => Promise<Uint8Array>;

/** Milliseconds that starting may take, on a machine that is very busy. */
const startDeadline = 60_000;

/** Limits of one request. */
export interface RequestLimits {
  /** Milliseconds after which a started process is killed. */
  deadline: number;
  signal: AbortSignal | undefined;
}

/**
 * A process for what files of strangers may make loop, fill memory, fail outside of every promise or end: V8 ends a
 * whole process, threads included, for an array that is too long. Requests come one after the other.
 */
export class DataProcess implements Disposable {
  readonly #child: ChildProcess = node.childProcess.spawn(
    process.execPath,
    [path.join(packageRoot, "dist", "data-process.js")],
    { stdio: ["ignore", "ignore", "ignore", "ipc"], serialization: "advanced" },
  );

  #started = false;

  constructor() {
    // Failures are told to the request that they end, by `exit`; those of sending come with an error too.
    this.#child.on("error", () => {});
  }

  /** What the process answers. Throws plain errors that say what went wrong, and the signal's reason. */
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
          const bytes = read?.(position, length) ?? Promise.reject(new Error("nothing can be read"));
          bytes.then((bytes) => child.connected && child.send({ bytes } satisfies DataRequest), fail);
        },
        error: (error: Error) => fail(new Error(`its process does not run: ${error.message}`)),
        exit: (code: number | null, name: string | null) =>
          fail(new Error(`it takes more memory than it may, or ends its process otherwise (${name ?? code})`)),
      };
      const abort = () => fail(signal?.reason);
      const within = (milliseconds: number) =>
        setTimeout(
          () => fail(new Error(`it takes longer than the ${Math.round(milliseconds / 1000)} s that it may`)),
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
