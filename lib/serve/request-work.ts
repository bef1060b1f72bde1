import type { IncomingMessage, ServerResponse } from "node:http";
import { ApiError } from "./api-error.js";

/** How long a client that does not read may keep an aborted answer open, in milliseconds. */
const closeTimeout = 5000;

/** The requests that a server computes. */
export class ActiveRequests {
  readonly #all = new Set<RequestWork>();
  #onEmpty: (() => void) | undefined;

  /** Returns the work of a request, which ends with its answer. It is aborted when the client leaves or time is up. */
  begin(request: IncomingMessage, response: ServerResponse, seconds: number): RequestWork {
    const work = new RequestWork(request, response, seconds, () => {
      this.#all.delete(work);
      if (this.#all.size === 0) this.#onEmpty?.();
    });
    this.#all.add(work);
    return work;
  }

  /** Waits until all requests have ended. After `seconds`, aborts them. */
  async drain(seconds: number): Promise<void> {
    if (this.#all.size === 0) return;
    const stop = () => {
      for (const work of this.#all) {
        work.abort(new ApiError(503, "the server shuts down", { code: "shutting_down" }));
      }
    };
    const timer = setTimeout(stop, seconds * 1000);
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    clearTimeout(timer);
  }
}

/** The signal of one request. */
export class RequestWork {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #closing: NodeJS.Timeout | undefined;

  constructor(
    request: IncomingMessage,
    private readonly response: ServerResponse,
    seconds: number,
    onEnd: () => void,
  ) {
    const { socket } = request;
    const late = () => this.abort(new ApiError(504, `expected an answer within ${seconds} s`, { code: "timeout" }));
    this.#timer = setTimeout(late, seconds * 1000);
    // The socket too: responses that wait behind others of a pipeline do not tell when it closes.
    socket.setMaxListeners(0);
    const end = () => {
      socket.off("close", end);
      response.off("close", end);
      clearTimeout(this.#timer);
      clearTimeout(this.#closing);
      this.#controller.abort(new ApiError(499, "the client has left"));
      onEnd();
    };
    socket.once("close", end);
    response.once("close", end);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts the work. The answer says why if the client reads it. */
  abort(reason: ApiError): void {
    this.#controller.abort(reason);
    this.#closing = setTimeout(() => this.response.destroy(), closeTimeout);
  }
}
