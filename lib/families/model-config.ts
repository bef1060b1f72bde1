/** The model families, by the names that configs have here. */
export type FamilyName = "gpt-neox" | "gpt-neo" | "gpt2";

/** The shape of a model, with the same names for all families. */
export interface ModelConfig {
  /** The architecture. */
  readonly family: FamilyName;
  /** How many blocks; they are numbered from 0. */
  readonly blockCount: number;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Attention heads of each block; they are numbered from 0. */
  readonly headCount: number;
  /** Width of the hidden layer of each MLP. */
  readonly intermediateSize: number;
  /** Token ids are below it. */
  readonly vocabularySize: number;
  /** The most tokens that a row can have. */
  readonly contextLength: number;
  /** Of the MLPs, by Hugging Face's name, such as "gelu". */
  readonly activation: string;
  /** What layer norms add to the variance. */
  readonly normEpsilon: number;
  /** The output embedding is the input embedding. */
  readonly tiedEmbedding: boolean;
  /** For each block, how many tokens back its attention sees, the token itself included; 0: all of them. */
  readonly windows: readonly number[];
  /** Whether attention and MLP of a block read the same residual stream. Only GPT-NeoX may have it. */
  readonly parallelResidual: boolean;
  /** Whether the projections to queries, keys and values have biases. */
  readonly attentionBias: boolean;
  /** The number of dimensions of each head that are rotated. 0 for families with learned positions. */
  readonly rotarySize: number;
  /** The base of the rotary embedding's wavelengths. 0 for families with learned positions. */
  readonly rotaryBase: number;
  /** The factor of the products of queries and keys. */
  readonly attentionScale: number;
  /** Tokens that end a text. */
  readonly endTokens: readonly number[];
  /** The dtype that the checkpoint says its weights are in. */
  readonly weightsDtype: "float32" | "bfloat16" | "float16" | undefined;
}
