import type { FamilyName, ModelConfig } from "./model-config.js";

/**
 * A model family: how to recognize its configs and checkpoints, how to read a config, and whether bounds are proven.
 */
export interface Family {
  readonly name: FamilyName;
  /** The `model_type` of its configs. */
  readonly modelType: string;
  /** The class in `architectures`, for configs without a `model_type`. */
  readonly architecture: string;
  /** The prefix of its tensors' names, such as "gpt_neox.". */
  readonly core: string;
  /** The name of the token embedding after the prefix, such as "wte.weight". */
  readonly embedding: string;
  /** Whether docs/theory.md proves the bounds for this family. */
  readonly provenBounds: boolean;
  /**
   * Reads the content of a config.json. `name` is the name used in error messages. Throws CONFIG_INVALID, and for
   * unsupported settings ARCHITECTURE_UNSUPPORTED or ROPE_SCALING_UNSUPPORTED.
   */
  readConfig(json: Record<string, unknown>, name: string): ModelConfig;
  /**
   * Returns fields that newer configs do not have, for programs that require them, such as the converter of llama.cpp.
   * Takes what `readConfig` accepts.
   */
  olderFields?(json: Record<string, unknown>, name: string): Record<string, unknown>;
}
