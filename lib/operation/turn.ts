import { setImmediate } from "node:timers/promises";

/** How long a computation on the thread of JavaScript may keep the event loop waiting, in milliseconds. */
const longest = 10;

/** A computation of many short steps that keeps the event loop free. */
export class Turn {
  #began = performance.now();

  /** Waits for the next turn of the event loop if this one has taken long. Call it between steps. */
  async rest(): Promise<void> {
    if (performance.now() - this.#began < longest) return;
    await setImmediate();
    this.#began = performance.now();
  }
}
