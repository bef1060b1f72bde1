import type { Addon, NativeConfig, NativeLoadOptions, NativeModel, NativeSource } from "../addon/native.js";
import { type OperationOptions, run } from "../operation/operation.js";

type Precision = Pick<NativeLoadOptions, "dtype" | "offload">;
type Others = Omit<NativeLoadOptions, keyof Precision>;

/** Makes native models of one checkpoint. A model that can't be made leaves no thread. */
export class NativeLoading {
  constructor(
    private readonly addon: Addon,
    private readonly config: NativeConfig,
    private readonly source: NativeSource,
    private readonly options: Others,
  ) {}

  /** Loads the weights. `exact` is whether they have the values of the files, without rounding. */
  async load(precision: Precision, operation: OperationOptions = {}): Promise<{ native: NativeModel; exact: boolean }> {
    let exact = false;
    const native = await this.#make(async (model) => {
      const options = { ...this.options, ...precision };
      exact = await run(this.addon, operation, (control) => model.load(this.config, this.source, options, control));
    });
    return { native, exact };
  }

  /** Returns a model that computes in float32 with the weights of another one, which must be in memory. */
  widen(from: NativeModel): Promise<NativeModel> {
    return this.#make((model) => model.widen(from, this.options.threads));
  }

  async #make(work: (model: NativeModel) => Promise<void>): Promise<NativeModel> {
    const model = new this.addon.Model();
    try {
      await work(model);
      return model;
    } catch (error) {
      // Ends the thread of the model. Not awaited, so that an abort rejects at once.
      void model.close();
      throw error;
    }
  }
}
