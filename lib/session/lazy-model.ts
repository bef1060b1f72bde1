import type { NativeModel } from "../addon/native.js";

/** The same weights in another dtype, loaded at the first use. They stay in their files and are read a block at a time. */
export class LazyModel {
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
