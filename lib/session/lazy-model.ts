import type { NativeModel } from "../addon/native.js";

/** A model's weights in another dtype, loaded at the first use. */
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
