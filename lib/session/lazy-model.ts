import type { NativeModel } from "../addon/native.js";

/** The same weights in another dtype, loaded when somebody first asks; all but a block at a time stays in the files. */
export class Companion {
  #native: Promise<NativeModel> | undefined;

  constructor(private readonly load: () => Promise<NativeModel>) {}

  get(): Promise<NativeModel> {
    this.#native ??= this.load().catch((error: unknown) => {
      this.#native = undefined;
      throw error;
    });
    return this.#native;
  }

  async close(): Promise<void> {
    await (await this.#native?.catch(() => undefined))?.close();
  }
}
