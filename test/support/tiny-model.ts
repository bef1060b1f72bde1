import { writeFile } from "node:fs/promises";
import path from "node:path";
import { writeWeights } from "./random-model.ts";

/** The shape of a model of a few thousand weights. */
export interface TinyModel {
  family: "gpt-neox" | "gpt-neo" | "gpt2";
  blocks: number;
  heads: number;
  width: number;
  intermediate: number;
  vocabulary: number;
  activation: string;
  parallel: boolean;
  bias: boolean;
  epsilon: number;
  /** Defaults to 32. */
  contextLength?: number;
}

/** Gives the elements of a tensor by its place in the model, such as "value" or "mlp.norm.scale", and its shape. */
export type Fill = (part: string, shape: readonly number[], block: number) => (index: number) => number;

type Entry = [name: string, part: string, shape: number[]];

function neoxBlock(name: string, { width, intermediate, bias }: TinyModel): Entry[] {
  const attention = `${name}.attention`;
  return [
    [`${name}.input_layernorm.weight`, "attention.norm.scale", [width]],
    [`${name}.input_layernorm.bias`, "attention.norm.shift", [width]],
    [`${attention}.query_key_value.weight`, "query-key-value", [3 * width, width]],
    [`${attention}.dense.weight`, "output", [width, width]],
    ...(bias
      ? ([
          [`${attention}.query_key_value.bias`, "query-key-value.bias", [3 * width]],
          [`${attention}.dense.bias`, "output.bias", [width]],
        ] as Entry[])
      : []),
    [`${name}.post_attention_layernorm.weight`, "mlp.norm.scale", [width]],
    [`${name}.post_attention_layernorm.bias`, "mlp.norm.shift", [width]],
    [`${name}.mlp.dense_h_to_4h.weight`, "widen", [intermediate, width]],
    [`${name}.mlp.dense_h_to_4h.bias`, "widen.bias", [intermediate]],
    [`${name}.mlp.dense_4h_to_h.weight`, "narrow", [width, intermediate]],
    [`${name}.mlp.dense_4h_to_h.bias`, "narrow.bias", [width]],
  ];
}

function neoBlock(name: string, { width, intermediate }: TinyModel): Entry[] {
  const attention = `${name}.attn.attention`;
  return [
    [`${name}.ln_1.weight`, "attention.norm.scale", [width]],
    [`${name}.ln_1.bias`, "attention.norm.shift", [width]],
    [`${attention}.q_proj.weight`, "query", [width, width]],
    [`${attention}.k_proj.weight`, "key", [width, width]],
    [`${attention}.v_proj.weight`, "value", [width, width]],
    [`${attention}.out_proj.weight`, "output", [width, width]],
    [`${attention}.out_proj.bias`, "output.bias", [width]],
    [`${name}.ln_2.weight`, "mlp.norm.scale", [width]],
    [`${name}.ln_2.bias`, "mlp.norm.shift", [width]],
    [`${name}.mlp.c_fc.weight`, "widen", [intermediate, width]],
    [`${name}.mlp.c_fc.bias`, "widen.bias", [intermediate]],
    [`${name}.mlp.c_proj.weight`, "narrow", [width, intermediate]],
    [`${name}.mlp.c_proj.bias`, "narrow.bias", [width]],
  ];
}

function gpt2Block(name: string, { width, intermediate }: TinyModel): Entry[] {
  return [
    [`${name}.ln_1.weight`, "attention.norm.scale", [width]],
    [`${name}.ln_1.bias`, "attention.norm.shift", [width]],
    [`${name}.attn.c_attn.weight`, "query-key-value", [width, 3 * width]],
    [`${name}.attn.c_attn.bias`, "query-key-value.bias", [3 * width]],
    [`${name}.attn.c_proj.weight`, "output", [width, width]],
    [`${name}.attn.c_proj.bias`, "output.bias", [width]],
    [`${name}.ln_2.weight`, "mlp.norm.scale", [width]],
    [`${name}.ln_2.bias`, "mlp.norm.shift", [width]],
    [`${name}.mlp.c_fc.weight`, "widen", [width, intermediate]],
    [`${name}.mlp.c_fc.bias`, "widen.bias", [intermediate]],
    [`${name}.mlp.c_proj.weight`, "narrow", [intermediate, width]],
    [`${name}.mlp.c_proj.bias`, "narrow.bias", [width]],
  ];
}

const blockOf = { "gpt-neox": neoxBlock, "gpt-neo": neoBlock, gpt2: gpt2Block };

function configOf(model: TinyModel): object {
  const { blocks, heads, width, intermediate, vocabulary, activation, parallel, bias, epsilon } = model;
  const { contextLength = 32 } = model;
  const common = {
    hidden_size: width,
    intermediate_size: intermediate,
    vocab_size: vocabulary,
    max_position_embeddings: contextLength,
    tie_word_embeddings: false,
  };
  if (model.family === "gpt-neox") {
    return {
      ...common,
      model_type: "gpt_neox",
      num_hidden_layers: blocks,
      num_attention_heads: heads,
      hidden_act: activation,
      layer_norm_eps: epsilon,
      attention_bias: bias,
      use_parallel_residual: parallel,
      rotary_pct: 0.5,
    };
  }
  if (model.family === "gpt2") {
    return {
      model_type: "gpt2",
      n_embd: width,
      n_inner: intermediate,
      n_layer: blocks,
      n_head: heads,
      n_positions: contextLength,
      vocab_size: vocabulary,
      activation_function: activation,
      layer_norm_epsilon: epsilon,
      tie_word_embeddings: false,
    };
  }
  const kinds = Array.from({ length: blocks }, (_, block) => (block % 2 === 0 ? "global" : "local"));
  return {
    ...common,
    model_type: "gpt_neo",
    num_layers: blocks,
    num_heads: heads,
    activation_function: activation,
    layer_norm_epsilon: epsilon,
    attention_layers: kinds,
    window_size: 3,
  };
}

/** Writes a checkpoint whose elements `fill` gives. */
export async function writeTinyModel(folder: string, model: TinyModel, fill: Fill): Promise<void> {
  const { family, blocks, width, vocabulary, contextLength = 32 } = model;
  const neox = family === "gpt-neox";
  const numbered = Array.from({ length: blocks }, (_, block): [number, Entry[]] => [
    block,
    blockOf[family](neox ? `gpt_neox.layers.${block}` : `transformer.h.${block}`, model),
  ]);
  const norm = neox ? "gpt_neox.final_layer_norm" : "transformer.ln_f";
  const others: Entry[] = [
    [neox ? "gpt_neox.embed_in.weight" : "transformer.wte.weight", "embedding", [vocabulary, width]],
    ...(neox ? [] : ([["transformer.wpe.weight", "positions", [contextLength, width]]] as Entry[])),
    [`${norm}.weight`, "final.norm.scale", [width]],
    [`${norm}.bias`, "final.norm.shift", [width]],
    [neox ? "embed_out.weight" : "lm_head.weight", "unembedding", [vocabulary, width]],
  ];
  await writeWeights(
    folder,
    [...numbered, [-1, others] as [number, Entry[]]].flatMap(([block, entries]) =>
      entries.map(([name, part, shape]) => ({ name, shape, value: fill(part, shape, block) })),
    ),
  );
  await writeFile(path.join(folder, "config.json"), JSON.stringify(configOf(model)));
}
