import type { FamilyName, ModelConfig } from "./model-config.js";

/** A model family: how its configs are read, how its checkpoints are known, and what is proven for it. */
export interface Family {
  readonly name: FamilyName;
  /** The `model_type` of its configs. */
  readonly modelType: string;
  /** The class in `architectures`, for configs without a `model_type`. */
  readonly architecture: string;
  /** How the names of the tensors of its stack begin, such as "gpt_neox.", and the name of its token embedding there. */
  readonly core: string;
  readonly embedding: string;
  /** Whether docs/theory.md proves its bounds for this family. */
  readonly provenBounds: boolean;
  /** Reads the content of a config.json; `name` is the name used in messages. Throws CONFIG_INVALID and codes of its own. */
  readConfig(json: Record<string, unknown>, name: string): ModelConfig;
}
