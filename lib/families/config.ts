import * as v from "valibot";
import type { NativeConfig } from "../addon/native.js";
import { AttentionBypassError } from "../errors/errors.js";
import { describe, validate } from "../errors/validation.js";
import { endTokens, tokenIds } from "./config-fields.js";
import type { ModelConfig } from "./model-config.js";
import { families } from "./registry.js";

export type { ModelConfig } from "./model-config.js";

/**
 * Parses JSON as Python writes it. NaN and infinities, which JSON does not have, become strings, so that they are
 * errors in fields that must be numbers and ignored in others. Throws CONFIG_INVALID.
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

/** Returns the end tokens in the text of a generation_config.json. Throws CONFIG_INVALID. */
export function parseEndTokens(text: string, name: string): number[] {
  return endTokens(validate(generationFields, parseConfigJson(text, name), name, "CONFIG_INVALID").eos_token_id);
}

/** Joins names for a sentence: "a, b or c". */
const listed = (names: readonly string[]) => `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;

const familyFields = v.looseObject({
  model_type: v.nullish(v.string()),
  architectures: v.nullish(v.array(v.string())),
});

/**
 * Reads the text of a Hugging Face config.json, with old or new key names. `name` is the name used in error messages.
 * Throws CONFIG_INVALID, ARCHITECTURE_UNSUPPORTED, ROPE_SCALING_UNSUPPORTED.
 */
export function parseConfig(text: string, name: string): ModelConfig {
  const fields = validate(familyFields, parseConfigJson(text, name), name, "CONFIG_INVALID");
  const named = fields.model_type ?? fields.architectures?.[0];
  const family = families.find(({ modelType, architecture }) => named === modelType || named === architecture);
  if (family === undefined) {
    throw new AttentionBypassError(
      "ARCHITECTURE_UNSUPPORTED",
      `expected model_type ${listed(families.map(({ modelType }) => modelType))} in ${name} but received ${describe(named)}`,
    );
  }
  const config = family.readConfig(fields, name);
  if (config.hiddenSize % config.headCount !== 0 || config.rotarySize % 2 !== 0) {
    throw new AttentionBypassError(
      "CONFIG_INVALID",
      `expected hidden_size in ${name} to be a multiple of the number of heads, and an even number of rotary dimensions ` +
        `per head, but received hidden_size ${config.hiddenSize}, ${config.headCount} heads and ${config.rotarySize} ` +
        "rotary dimensions",
    );
  }
  return config;
}

/** Converts a config to the addon's form. `zeroAttentionBias`: see {@link NativeConfig}. */
export function toNativeConfig(config: ModelConfig, zeroAttentionBias = false): NativeConfig {
  const { shortCircuit, blockCount, headCount } = config;
  const shortCircuited = new Uint8Array(shortCircuit === undefined ? 0 : blockCount * headCount);
  for (const [block, heads] of Object.entries(shortCircuit ?? {})) {
    for (const head of heads) shortCircuited[Number(block) * headCount + head] = 1;
  }
  return { ...config, windows: Int32Array.from(config.windows), zeroAttentionBias, shortCircuited };
}
