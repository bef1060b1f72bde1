import { parseConfigJson } from "../families/config.js";
import { familyOf } from "../families/registry.js";
import type { Conversion } from "./conversion.js";

function fieldsOf({ source }: Conversion): Record<string, unknown> {
  return parseConfigJson(source.configText, "config.json") as Record<string, unknown>;
}

/** Returns config.json for an archive, with the end tokens, which may come from generation_config.json. */
export function archiveConfig(conversion: Conversion): string {
  const { config, dtype, zeroAttentionBias } = conversion;
  return JSON.stringify({
    ...fieldsOf(conversion),
    dtype,
    eos_token_id: config.endTokens,
    ...(zeroAttentionBias && { attention_bias: true }),
  });
}

/** Returns an `eos_token_id` as most configs have it: one id, or null if there is none. */
const endToken = (ids: readonly number[]) => (ids.length > 1 ? ids : (ids[0] ?? null));

/**
 * Returns config.json for a checkpoint. Fields that readers of checkpoints require are set, and the tied embedding is
 * that of the weights.
 */
export function checkpointConfig(conversion: Conversion): string {
  const { config, dtype, source } = conversion;
  const family = familyOf(config.family);
  const given = fieldsOf(conversion);
  const fields = {
    ...family.olderFields?.(given, "config.json"),
    ...given,
    ...(source.archive && { eos_token_id: endToken(config.endTokens) }),
    architectures: [family.architecture],
    model_type: family.modelType,
    tie_word_embeddings: config.tiedEmbedding,
    dtype,
    // For readers that do not know dtype, such as transformers before 4.56.
    torch_dtype: dtype,
  };
  return `${JSON.stringify(fields, null, 2)}\n`;
}

/** Returns generation_config.json for a model from an archive, which contains only the end tokens. */
export function generationConfig({ config }: Conversion): string {
  return `${JSON.stringify({ eos_token_id: endToken(config.endTokens) }, null, 2)}\n`;
}
