// GPT-2: learned positions, a fused projection to queries, keys and values, weights stored transposed.
import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { describe, positiveNumber, validate } from "../errors/validation.js";
import {
  blocks,
  commonFields,
  endTokens,
  heads,
  mostPositions,
  size,
  weightsDtype,
  width,
  withAliases,
} from "./config-fields.js";
import type { Family } from "./family.js";
import type { ModelConfig } from "./model-config.js";

const { vocab_size, tie_word_embeddings, eos_token_id, dtype, torch_dtype } = commonFields;

const fields = v.looseObject({
  vocab_size,
  tie_word_embeddings,
  eos_token_id,
  dtype,
  torch_dtype,
  n_embd: width,
  n_layer: blocks,
  n_head: heads,
  n_positions: size(mostPositions),
  n_inner: v.nullish(width),
  activation_function: v.optional(v.string(), "gelu_new"),
  layer_norm_epsilon: v.optional(positiveNumber, 1e-5),
  scale_attn_weights: v.optional(v.boolean(), true),
  scale_attn_by_inverse_layer_idx: v.optional(v.boolean(), false),
  add_cross_attention: v.optional(v.boolean(), false),
});

const aliases = {
  n_embd: "hidden_size",
  n_layer: "num_hidden_layers",
  n_head: "num_attention_heads",
  n_positions: "max_position_embeddings",
} as const;

function readConfig(json: Record<string, unknown>, name: string): ModelConfig {
  const config = validate(fields, withAliases(json, aliases, name), name, "CONFIG_INVALID");
  // These settings change the computation, and no published language model uses them.
  for (const key of ["scale_attn_by_inverse_layer_idx", "add_cross_attention"] as const) {
    if (!config[key]) continue;
    throw new AttentionBypassError(
      "ARCHITECTURE_UNSUPPORTED",
      `expected ${key} to be false in ${name} but received ${describe(config[key])}`,
    );
  }
  return {
    family: "gpt2",
    blockCount: config.n_layer,
    hiddenSize: config.n_embd,
    headCount: config.n_head,
    intermediateSize: config.n_inner ?? 4 * config.n_embd,
    vocabularySize: config.vocab_size,
    contextLength: config.n_positions,
    activation: config.activation_function,
    normEpsilon: config.layer_norm_epsilon,
    tiedEmbedding: config.tie_word_embeddings ?? true,
    windows: Array<number>(config.n_layer).fill(0),
    parallelResidual: false,
    attentionBias: true,
    rotarySize: 0,
    rotaryBase: 0,
    attentionScale: config.scale_attn_weights ? 1 / Math.sqrt(Math.floor(config.n_embd / config.n_head)) : 1,
    endTokens: endTokens(config.eos_token_id),
    weightsDtype: weightsDtype(config),
  };
}

export const gpt2: Family = {
  name: "gpt2",
  modelType: "gpt2",
  architecture: "GPT2LMHeadModel",
  core: "transformer.",
  embedding: "wte.weight",
  provenBounds: true,
  readConfig,
  olderFields: (json) => ({ n_ctx: json.n_positions ?? json.max_position_embeddings }),
};
