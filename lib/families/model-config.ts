/** The name of a model family, as in `ModelConfig.family`. */
export type FamilyName = "gpt-neox" | "gpt-neo" | "gpt2";

/** The configuration of a model, with the same names for all families. */
export interface ModelConfig {
  /** The model family. */
  readonly family: FamilyName;
  /** The number of blocks. Blocks are numbered from 0. */
  readonly blockCount: number;
  /** The width of the residual stream. */
  readonly hiddenSize: number;
  /** The number of attention heads in each block. Heads are numbered from 0. */
  readonly headCount: number;
  /** The width of the hidden layer of each MLP. */
  readonly intermediateSize: number;
  /** The number of tokens in the vocabulary. Token ids are from 0 to `vocabularySize - 1`. */
  readonly vocabularySize: number;
  /** The maximum number of tokens in a row. */
  readonly contextLength: number;
  /** The activation function of the MLPs, by its name in Hugging Face transformers, such as "gelu". */
  readonly activation: string;
  /** The epsilon that layer norms add to the variance. */
  readonly normEpsilon: number;
  /** Whether the output embedding is the same matrix as the input embedding. */
  readonly tiedEmbedding: boolean;
  /** The attention window of each block in tokens, including the current token. 0: attention to the whole context. */
  readonly windows: readonly number[];
  /** Whether attention and MLP of a block read the same residual stream. Only GPT-NeoX models can have this. */
  readonly parallelResidual: boolean;
  /** Whether the query, key and value projections have biases. */
  readonly attentionBias: boolean;
  /** The number of dimensions of each head that the rotary embedding rotates. 0 for families with learned positions. */
  readonly rotarySize: number;
  /** The base of the rotary embedding's wavelengths. 0 for families with learned positions. */
  readonly rotaryBase: number;
  /** The factor by which the products of queries and keys are multiplied. */
  readonly attentionScale: number;
  /**
   * Heads that attend only to the token itself, by block. Only models that `convert` wrote with a short-circuit bypass
   * have them.
   */
  readonly shortCircuit?: Readonly<Record<number, readonly number[]>>;
  /** The ids of the tokens that end a text. */
  readonly endTokens: readonly number[];
  /** The dtype of the weights according to the checkpoint's config; undefined if it names none that is supported. */
  readonly weightsDtype: "float32" | "bfloat16" | "float16" | undefined;
}
