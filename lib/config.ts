import * as v from "valibot";
import { AttentionBypassError } from "./errors.js";
import type { NativeConfig } from "./native.js";
import { describe, positiveNumber, share, validate, wholeNumber } from "./validation.js";

/** The shape of a model, in one vocabulary for both families. */
export interface ModelConfig {
  /** The architecture. */
  readonly family: "gpt-neox" | "gpt-neo";
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
  /** Attention and MLP of a block read the same residual stream. GPT-NeoX alone. */
  readonly parallelResidual: boolean;
  /** Attention's projections have biases. GPT-NeoX alone. */
  readonly attentionBias: boolean;
  /** How many dimensions of each head are rotated. GPT-NeoX alone; 0 for GPT-Neo. */
  readonly rotarySize: number;
  /** Base of the rotary embedding's wavelengths. GPT-NeoX alone. */
  readonly rotaryBase: number;
  /** Tokens that end a text. */
  readonly endTokens: readonly number[];
  /** The dtype that the checkpoint says its weights are in. */
  readonly weightsDtype: "float32" | "bfloat16" | "float16" | undefined;
}

const size = wholeNumber(1);
const tokenIds = v.nullish(v.union([wholeNumber(0), v.array(wholeNumber(0))], "a token id or several"));
const dtypeName = v.nullish(v.string());

const commonFields = {
  vocab_size: size,
  hidden_size: size,
  max_position_embeddings: size,
  tie_word_embeddings: v.nullish(v.boolean()),
  eos_token_id: tokenIds,
  dtype: dtypeName,
  torch_dtype: dtypeName,
};

const ropeFields = v.looseObject({
  rope_type: v.nullish(v.string()),
  type: v.nullish(v.string()),
  rope_theta: v.nullish(positiveNumber),
  partial_rotary_factor: v.nullish(share),
});

const neoxFields = v.looseObject({
  ...commonFields,
  num_hidden_layers: size,
  num_attention_heads: size,
  intermediate_size: size,
  hidden_act: v.nullish(v.string(), "gelu"),
  layer_norm_eps: v.nullish(positiveNumber, 1e-5),
  use_parallel_residual: v.nullish(v.boolean(), true),
  attention_bias: v.nullish(v.boolean(), true),
  rotary_pct: v.nullish(share, 0.25),
  rotary_emb_base: v.nullish(positiveNumber, 10000),
  rope_theta: v.nullish(positiveNumber),
  rope_parameters: v.nullish(ropeFields),
  rope_scaling: v.nullish(ropeFields),
});

const attentionKind = v.picklist(["global", "local"]);

const neoFields = v.looseObject({
  ...commonFields,
  num_layers: size,
  num_heads: size,
  intermediate_size: v.nullish(size),
  activation_function: v.nullish(v.string(), "gelu_new"),
  layer_norm_epsilon: v.nullish(positiveNumber, 1e-5),
  window_size: v.nullish(size, 256),
  attention_types: v.nullish(v.array(v.tuple([v.array(attentionKind), wholeNumber(0)]))),
  attention_layers: v.nullish(v.array(attentionKind)),
});

const familyFields = v.looseObject({
  model_type: v.nullish(v.string()),
  architectures: v.nullish(v.array(v.string())),
});

function weightsDtype(fields: {
  dtype?: string | null | undefined;
  torch_dtype?: string | null | undefined;
}): ModelConfig["weightsDtype"] {
  const name = fields.dtype ?? fields.torch_dtype;
  return name === "float32" || name === "bfloat16" || name === "float16" ? name : undefined;
}

function endTokens(ids: number | number[] | null | undefined): number[] {
  return ids == null ? [] : typeof ids === "number" ? [ids] : ids;
}

function readNeox(json: unknown, name: string): ModelConfig {
  const fields = validate(neoxFields, json, name, "CONFIG_INVALID");
  const rope = fields.rope_parameters ?? fields.rope_scaling;
  const ropeType = rope?.rope_type ?? rope?.type ?? "default";
  if (ropeType !== "default") {
    throw new AttentionBypassError(
      "ROPE_SCALING_UNSUPPORTED",
      `expected a rotary embedding without scaling ("default") in ${name} but received ${describe(ropeType)}`,
    );
  }
  const headSize = Math.floor(fields.hidden_size / fields.num_attention_heads);
  const blockCount = fields.num_hidden_layers;
  return {
    family: "gpt-neox",
    blockCount,
    hiddenSize: fields.hidden_size,
    headCount: fields.num_attention_heads,
    intermediateSize: fields.intermediate_size,
    vocabularySize: fields.vocab_size,
    contextLength: fields.max_position_embeddings,
    activation: fields.hidden_act,
    normEpsilon: fields.layer_norm_eps,
    tiedEmbedding: fields.tie_word_embeddings ?? false,
    windows: Array<number>(blockCount).fill(0),
    parallelResidual: fields.use_parallel_residual,
    attentionBias: fields.attention_bias,
    rotarySize: Math.floor(headSize * (rope?.partial_rotary_factor ?? fields.rotary_pct)),
    rotaryBase: rope?.rope_theta ?? fields.rope_theta ?? fields.rotary_emb_base,
    endTokens: endTokens(fields.eos_token_id),
    weightsDtype: weightsDtype(fields),
  };
}

function attentionKinds(fields: v.InferOutput<typeof neoFields>, name: string): ("global" | "local")[] {
  const kinds = fields.attention_types
    ? fields.attention_types.flatMap(([pattern, times]) => Array<typeof pattern>(times).fill(pattern).flat())
    : fields.attention_layers;
  if (kinds?.length === fields.num_layers) return kinds;
  throw new AttentionBypassError(
    "CONFIG_INVALID",
    `expected attention_types or attention_layers in ${name} to name one kind of attention for each of ` +
      `${fields.num_layers} blocks but received ${kinds?.length ?? 0}`,
  );
}

function readNeo(json: unknown, name: string): ModelConfig {
  const fields = validate(neoFields, json, name, "CONFIG_INVALID");
  return {
    family: "gpt-neo",
    blockCount: fields.num_layers,
    hiddenSize: fields.hidden_size,
    headCount: fields.num_heads,
    intermediateSize: fields.intermediate_size ?? 4 * fields.hidden_size,
    vocabularySize: fields.vocab_size,
    contextLength: fields.max_position_embeddings,
    activation: fields.activation_function,
    normEpsilon: fields.layer_norm_epsilon,
    tiedEmbedding: fields.tie_word_embeddings ?? true,
    windows: attentionKinds(fields, name).map((kind) => (kind === "local" ? fields.window_size : 0)),
    parallelResidual: false,
    attentionBias: false,
    rotarySize: 0,
    rotaryBase: 0,
    endTokens: endTokens(fields.eos_token_id),
    weightsDtype: weightsDtype(fields),
  };
}

/**
 * Reads the text of a Hugging Face config.json, with old key names or new ones. Name is what messages call it.
 * Throws CONFIG_INVALID, ARCHITECTURE_UNSUPPORTED, ROPE_SCALING_UNSUPPORTED.
 */
export function parseConfig(text: string, name: string): ModelConfig {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new AttentionBypassError("CONFIG_INVALID", `expected JSON in ${name} but ${(error as Error).message}`);
  }
  const { model_type, architectures } = validate(familyFields, json, name, "CONFIG_INVALID");
  const family = model_type ?? architectures?.[0];
  let config: ModelConfig;
  if (family === "gpt_neox" || family === "GPTNeoXForCausalLM") config = readNeox(json, name);
  else if (family === "gpt_neo" || family === "GPTNeoForCausalLM") config = readNeo(json, name);
  else {
    throw new AttentionBypassError(
      "ARCHITECTURE_UNSUPPORTED",
      `expected model_type gpt_neox or gpt_neo in ${name} but received ${describe(family)}`,
    );
  }
  if (config.hiddenSize % config.headCount !== 0 || config.rotarySize % 2 !== 0) {
    throw new AttentionBypassError(
      "CONFIG_INVALID",
      `expected ${config.headCount} heads in ${name} to share hidden_size ${config.hiddenSize} evenly, ` +
        `and an even number of rotary dimensions in each but received ${config.rotarySize}`,
    );
  }
  return config;
}

/** The config as the addon takes it. */
export function toNativeConfig(config: ModelConfig): NativeConfig {
  return { ...config, windows: Int32Array.from(config.windows) };
}
