// Schemas and readers for the config.json fields that several families share.
import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { describe } from "../errors/validation.js";
import type { ModelConfig } from "./model-config.js";

/** Limits far above those of published models. Memory in proportion to them is allocated before any weight is read. */
const mostBlocks = 10_000;
const mostHeads = 65_536;
export const mostPositions = 2 ** 20;
const widest = 2 ** 26;

export const size = (most: number) => {
  const message = `a whole number from 1 to ${most}`;
  return v.pipe(
    v.number(message),
    v.check((value: number) => Number.isInteger(value) && value >= 1 && value <= most, message),
  );
};
export const blocks = size(mostBlocks);
export const heads = size(mostHeads);
export const width = size(widest);
// Configs written by Python may have -1 for "no token".
const tokenId = v.pipe(
  v.number(),
  v.check((value: number) => Number.isSafeInteger(value), "a token id"),
);
export const tokenIds = v.nullish(v.union([tokenId, v.array(tokenId)], "a token id or an array of token ids"));
// Some configs have an object with one dtype for each part of the model.
const dtypeName = v.nullish(v.union([v.string(), v.record(v.string(), v.string())], "the name of a dtype"));

export const commonFields = {
  vocab_size: width,
  hidden_size: width,
  max_position_embeddings: size(mostPositions),
  tie_word_embeddings: v.optional(v.boolean()),
  eos_token_id: tokenIds,
  dtype: dtypeName,
  torch_dtype: dtypeName,
};

type DtypeName = v.InferOutput<typeof dtypeName>;

/** Returns the weights' dtype that the config names; undefined if models can't be loaded in it. */
export function weightsDtype(fields: { dtype?: DtypeName; torch_dtype?: DtypeName }): ModelConfig["weightsDtype"] {
  const named = fields.dtype ?? fields.torch_dtype;
  const name = typeof named === "string" ? named.replace(/^torch\./, "") : named;
  return name === "float32" || name === "bfloat16" || name === "float16" ? name : undefined;
}

/** Returns the token ids of an `eos_token_id`. Ids below 0, which stand for "no token", are left out. */
export function endTokens(ids: v.InferOutput<typeof tokenIds>): number[] {
  const list = ids == null ? [] : typeof ids === "number" ? [ids] : ids;
  return list.filter((id) => id >= 0);
}

/** Returns the error for a config with two settings that contradict each other. */
export function contradiction(name: string, one: string, other: string): AttentionBypassError {
  return new AttentionBypassError(
    "CONFIG_INVALID",
    `expected consistent settings in ${name} but it has ${one} and ${other}, which contradict each other; ` +
      "remove the wrong one",
  );
}

/**
 * Returns the config with the settings that only have another name, as in most families. transformers accepts both names.
 * aliases: the other name of each setting. Throws CONFIG_INVALID if the two differ.
 */
export function withAliases(
  json: Record<string, unknown>,
  aliases: Readonly<Record<string, string>>,
  name: string,
): Record<string, unknown> {
  const named = { ...json };
  for (const [key, alias] of Object.entries(aliases)) {
    named[key] ??= named[alias];
    requireSame(name, [alias, named[alias]], [key, named[key]]);
  }
  return named;
}

/** Throws CONFIG_INVALID if a setting that transformers ignores differs from the one that it uses instead. */
export function requireSame(
  name: string,
  ignored: [key: string, value: unknown],
  used: [key: string, value: unknown],
): void {
  if (ignored[1] == null || ignored[1] === used[1]) return;
  throw contradiction(name, `${ignored[0]} ${describe(ignored[1])}`, `${used[0]} ${describe(used[1])}`);
}
