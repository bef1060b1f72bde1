// GPT-Neo: learned positions, alternating global and local attention, attention scores that are not scaled.
import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { positiveNumber, validate, wholeNumber } from "../errors/validation.js";
import {
  blocks,
  commonFields,
  contradiction,
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

const attentionKind = v.picklist(["global", "local"]);
type AttentionKind = v.InferOutput<typeof attentionKind>;

const neoFields = v.looseObject({
  ...commonFields,
  num_layers: blocks,
  num_heads: heads,
  intermediate_size: v.nullish(width),
  activation_function: v.optional(v.string(), "gelu_new"),
  layer_norm_epsilon: v.optional(positiveNumber, 1e-5),
  window_size: v.optional(size(mostPositions), 256),
  attention_types: v.nullish(v.array(v.tuple([v.array(attentionKind), wholeNumber(0)]))),
  attention_layers: v.nullish(v.array(attentionKind)),
});

type NeoFields = v.InferOutput<typeof neoFields>;

/**
 * Expands attention_types to one kind of attention for each block. The count is checked before anything is allocated.
 */
function expandTypes(
  types: NonNullable<NeoFields["attention_types"]>,
  name: string,
  blockCount: number,
): AttentionKind[] {
  const count = types.reduce((sum, [pattern, times]) => sum + pattern.length * times, 0);
  if (count !== blockCount) throw wrongKindCount(name, blockCount, count);
  return types.flatMap(([pattern, times]) =>
    pattern.length === 0 ? [] : Array<typeof pattern>(times).fill(pattern).flat(),
  );
}

function wrongKindCount(name: string, blockCount: number, received: number): AttentionBypassError {
  return new AttentionBypassError(
    "CONFIG_INVALID",
    `expected attention_types or attention_layers in ${name} to name one kind of attention for each of ` +
      `${blockCount} blocks but received ${received}`,
  );
}

function attentionKinds({ attention_types, attention_layers, num_layers }: NeoFields, name: string): AttentionKind[] {
  if (attention_layers && attention_layers.length !== num_layers) {
    throw wrongKindCount(name, num_layers, attention_layers.length);
  }
  const expanded = attention_types && expandTypes(attention_types, name, num_layers);
  const different = attention_layers && expanded ? expanded.findIndex((kind, i) => kind !== attention_layers[i]) : -1;
  if (different >= 0) {
    throw contradiction(
      name,
      `attention_types, which say ${expanded?.[different]} for block ${different},`,
      `attention_layers, which say ${attention_layers?.[different]}`,
    );
  }
  const kinds = attention_layers ?? expanded;
  if (!kinds) throw wrongKindCount(name, num_layers, 0);
  return kinds;
}

const neoAliases = { num_layers: "num_hidden_layers", num_heads: "num_attention_heads" } as const;

function readConfig(json: Record<string, unknown>, name: string): ModelConfig {
  const fields = validate(neoFields, withAliases(json, neoAliases, name), name, "CONFIG_INVALID");
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
    attentionScale: 1,
    endTokens: endTokens(fields.eos_token_id),
    weightsDtype: weightsDtype(fields),
  };
}

export const gptNeo: Family = {
  name: "gpt-neo",
  modelType: "gpt_neo",
  architecture: "GPTNeoForCausalLM",
  core: "transformer.",
  embedding: "wte.weight",
  provenBounds: true,
  readConfig,
};
