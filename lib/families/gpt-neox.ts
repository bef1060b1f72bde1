// GPT-NeoX, the architecture of Pythia: rotary positions, and blocks that are parallel or serial.
import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { describe, positiveNumber, share, validate } from "../errors/validation.js";
import {
  blocks,
  commonFields,
  contradiction,
  endTokens,
  heads,
  requireSame,
  weightsDtype,
  width,
} from "./config-fields.js";
import type { Family } from "./family.js";
import type { ModelConfig } from "./model-config.js";

const ropeFields = v.looseObject({
  rope_type: v.nullish(v.string()),
  type: v.nullish(v.string()),
  rope_theta: v.nullish(positiveNumber),
  partial_rotary_factor: v.nullish(share),
});

const neoxFields = v.looseObject({
  ...commonFields,
  num_hidden_layers: blocks,
  num_attention_heads: heads,
  intermediate_size: width,
  hidden_act: v.optional(v.string(), "gelu"),
  layer_norm_eps: v.optional(positiveNumber, 1e-5),
  use_parallel_residual: v.optional(v.boolean(), true),
  attention_bias: v.optional(v.boolean(), true),
  rotary_pct: v.optional(share, 0.25),
  rotary_emb_base: v.optional(positiveNumber, 10000),
  rope_theta: v.nullish(positiveNumber),
  partial_rotary_factor: v.nullish(share),
  rope_parameters: v.nullish(ropeFields),
  rope_scaling: v.nullish(ropeFields),
});

type RopeFields = v.InferOutput<typeof ropeFields>;

/** Returns rope_scaling or, if it is empty, rope_parameters. If both are set, transformers ignores rope_parameters. */
function ropeOf(fields: v.InferOutput<typeof neoxFields>, name: string): RopeFields | undefined {
  const [scaling, parameters] = [fields.rope_scaling, fields.rope_parameters].map((rope) =>
    rope && Object.keys(rope).length > 0 ? rope : undefined,
  );
  if (scaling && parameters && JSON.stringify(scaling) !== JSON.stringify(parameters)) {
    throw contradiction(
      name,
      `rope_scaling ${JSON.stringify(scaling)}`,
      `rope_parameters ${JSON.stringify(parameters)}`,
    );
  }
  return scaling ?? parameters;
}

/** transformers before version 5 knows only these. */
function olderFields(json: Record<string, unknown>, name: string) {
  const fields = validate(neoxFields, json, name, "CONFIG_INVALID");
  const rope = ropeOf(fields, name);
  return {
    rotary_pct: rope?.partial_rotary_factor ?? fields.rotary_pct,
    rotary_emb_base: rope?.rope_theta ?? fields.rotary_emb_base,
  };
}

function readConfig(json: Record<string, unknown>, name: string): ModelConfig {
  const fields = validate(neoxFields, json, name, "CONFIG_INVALID");
  const rope = ropeOf(fields, name);
  const ropeType = rope?.rope_type ?? rope?.type ?? "default";
  if (ropeType !== "default") {
    throw new AttentionBypassError(
      "ROPE_SCALING_UNSUPPORTED",
      `expected a rotary embedding without scaling ("default") in ${name} but received ${describe(ropeType)}`,
    );
  }
  const { rotary_emb_base: rotaryBase, rotary_pct: rotaryShare } = olderFields(json, name);
  // transformers ignores rope_theta and partial_rotary_factor outside of rope_parameters.
  const given = (key: string) => (Object.hasOwn(json, key) ? key : `the default ${key}`);
  const baseKey = rope?.rope_theta == null ? given("rotary_emb_base") : "rope_parameters.rope_theta";
  const shareKey = rope?.partial_rotary_factor == null ? given("rotary_pct") : "rope_parameters.partial_rotary_factor";
  requireSame(name, ["rope_theta", fields.rope_theta], [baseKey, rotaryBase]);
  requireSame(name, ["partial_rotary_factor", fields.partial_rotary_factor], [shareKey, rotaryShare]);
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
    rotarySize: Math.floor(headSize * rotaryShare),
    rotaryBase,
    attentionScale: 1 / Math.sqrt(headSize),
    endTokens: endTokens(fields.eos_token_id),
    weightsDtype: weightsDtype(fields),
  };
}

export const gptNeox: Family = {
  name: "gpt-neox",
  modelType: "gpt_neox",
  architecture: "GPTNeoXForCausalLM",
  core: "gpt_neox.",
  embedding: "embed_in.weight",
  provenBounds: true,
  readConfig,
  olderFields,
};
