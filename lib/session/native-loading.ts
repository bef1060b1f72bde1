import type { Addon, NativeConfig, NativeLoadOptions, NativeModel, NativeSource } from "../addon/native.js";
import { type OperationOptions, run } from "../operation/operation.js";

type Precision = Pick<NativeLoadOptions, "dtype" | "offload">;
type Others = Omit<NativeLoadOptions, keyof Precision>;

/**
 * The size in bytes up to which a second copy of the weights, in float32, is kept in memory. Reading larger ones from
 * the files for each use costs little compared with their forward passes.
 */
const heldInFloat32 = 2 ** 28;

function elementCount({ tensors }: NativeSource): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
}

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

  /** Returns the weights in float32. Small ones stay in memory unless `offload` is set. */
  async loadFloat32(offload: boolean): Promise<NativeModel> {
    const large = 4 * elementCount(this.source) > heldInFloat32;
    return (await this.load({ dtype: "float32", offload: offload || large })).native;
  }

  /** Returns the weights in float64, read from the files for each use. */
  async loadFloat64(): Promise<NativeModel> {
    return (await this.load({ dtype: "float64", offload: true })).native;
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
