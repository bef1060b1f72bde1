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

/** No published model has a tenth of these; what depends on them is allocated before any weight is read. */
const mostBlocks = 10_000;
const mostHeads = 65_536;
const mostPositions = 2 ** 20;
const widest = 2 ** 26;

const size = (most: number) => {
  const message = `a whole number from 1 to ${most}`;
  return v.pipe(
    v.number(message),
    v.check((value: number) => Number.isInteger(value) && value >= 1 && value <= most, message),
  );
};
const blocks = size(mostBlocks);
const heads = size(mostHeads);
const width = size(widest);
// Python's configs have -1 where no token is meant.
const tokenId = v.pipe(
  v.number(),
  v.check((value: number) => Number.isSafeInteger(value), "a token id"),
);
const tokenIds = v.nullish(v.union([tokenId, v.array(tokenId)], "a token id or several"));
// One for each part of a model, in some configs; these are for those who load parts.
const dtypeName = v.nullish(v.union([v.string(), v.record(v.string(), v.string())], "the name of a dtype"));

const commonFields = {
  vocab_size: width,
  hidden_size: width,
  max_position_embeddings: size(mostPositions),
  tie_word_embeddings: v.optional(v.boolean()),
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

const familyFields = v.looseObject({
  model_type: v.nullish(v.string()),
  architectures: v.nullish(v.array(v.string())),
});

type DtypeName = v.InferOutput<typeof dtypeName>;

function weightsDtype(fields: { dtype?: DtypeName; torch_dtype?: DtypeName }): ModelConfig["weightsDtype"] {
  const named = fields.dtype ?? fields.torch_dtype;
  const name = typeof named === "string" ? named.replace(/^torch\./, "") : named;
  return name === "float32" || name === "bfloat16" || name === "float16" ? name : undefined;
}

/** Token ids that end a text, from an `eos_token_id`. Ids below 0 are in no vocabulary. */
function endTokens(ids: v.InferOutput<typeof tokenIds>): number[] {
  const list = ids == null ? [] : typeof ids === "number" ? [ids] : ids;
  return list.filter((id) => id >= 0);
}

function contradiction(name: string, one: string, other: string): AttentionBypassError {
  return new AttentionBypassError(
    "CONFIG_INVALID",
    `expected ${name} to say one thing but it has ${one} and ${other}, which contradict each other; ` +
      "remove the one that is wrong",
  );
}

/** Refuses a setting that another one, which transformers reads in its place, contradicts. */
function requireSame(name: string, ignored: [key: string, value: unknown], used: [key: string, value: unknown]): void {
  if (ignored[1] == null || ignored[1] === used[1]) return;
  throw contradiction(name, `${ignored[0]} ${describe(ignored[1])}`, `${used[0]} ${describe(used[1])}`);
}

type RopeFields = v.InferOutput<typeof ropeFields>;

/** What rope_scaling or rope_parameters say; transformers reads the first and does not look at the second. */
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

function readNeox(json: Record<string, unknown>, name: string): ModelConfig {
  const fields = validate(neoxFields, json, name, "CONFIG_INVALID");
  const rope = ropeOf(fields, name);
  const ropeType = rope?.rope_type ?? rope?.type ?? "default";
  if (ropeType !== "default") {
    throw new AttentionBypassError(
      "ROPE_SCALING_UNSUPPORTED",
      `expected a rotary embedding without scaling ("default") in ${name} but received ${describe(ropeType)}`,
    );
  }
  const rotaryBase = rope?.rope_theta ?? fields.rotary_emb_base;
  const rotaryShare = rope?.partial_rotary_factor ?? fields.rotary_pct;
  // Transformers ignores both where a GPT-NeoX config has them outside of rope_parameters.
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
    endTokens: endTokens(fields.eos_token_id),
    weightsDtype: weightsDtype(fields),
  };
}

type NeoFields = v.InferOutput<typeof neoFields>;

/** The kind of attention of each block, written out only where there are as many as blocks. */
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

/** The same settings under the names that most families have for them; transformers takes either. */
const neoAliases = { num_layers: "num_hidden_layers", num_heads: "num_attention_heads" } as const;

function readNeo(json: Record<string, unknown>, name: string): ModelConfig {
  const named = { ...json };
  for (const [key, alias] of Object.entries(neoAliases)) {
    named[key] ??= named[alias];
    requireSame(name, [alias, named[alias]], [key, named[key]]);
  }
  const fields = validate(neoFields, named, name, "CONFIG_INVALID");
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
 * The value of a text in JSON as Python writes it: NaN and the infinities, which JSON does not have, become text, so
 * that they are refused where a number is needed and ignored where nothing is. Throws CONFIG_INVALID.
 */
export function parseConfigJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    try {
      return JSON.parse(
        text.replace(/"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)/g, (part) => (part[0] === '"' ? part : `"${part}"`)),
      );
    } catch {
      throw new AttentionBypassError("CONFIG_INVALID", `expected JSON in ${name} but ${(error as Error).message}`);
    }
  }
}

const generationFields = v.looseObject({ eos_token_id: tokenIds });

/** The end tokens of the text of a generation_config.json. Throws CONFIG_INVALID. */
export function parseEndTokens(text: string, name: string): number[] {
  return endTokens(validate(generationFields, parseConfigJson(text, name), name, "CONFIG_INVALID").eos_token_id);
}

/**
 * Reads the text of a Hugging Face config.json, with old key names or new ones. Name is what messages call it.
 * Throws CONFIG_INVALID, ARCHITECTURE_UNSUPPORTED, ROPE_SCALING_UNSUPPORTED.
 */
export function parseConfig(text: string, name: string): ModelConfig {
  const fields = validate(familyFields, parseConfigJson(text, name), name, "CONFIG_INVALID");
  const family = fields.model_type ?? fields.architectures?.[0];
  let config: ModelConfig;
  if (family === "gpt_neox" || family === "GPTNeoXForCausalLM") config = readNeox(fields, name);
  else if (family === "gpt_neo" || family === "GPTNeoForCausalLM") config = readNeo(fields, name);
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
