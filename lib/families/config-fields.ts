// The fields of a config.json that several families have, and how they are read.
import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { describe } from "../errors/validation.js";
import type { ModelConfig } from "./model-config.js";

/** No published model has a tenth of these; what depends on them is allocated before any weight is read. */
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
// Python's configs have -1 where no token is meant.
const tokenId = v.pipe(
  v.number(),
  v.check((value: number) => Number.isSafeInteger(value), "a token id"),
);
export const tokenIds = v.nullish(v.union([tokenId, v.array(tokenId)], "a token id or several"));
// One for each part of a model, in some configs; these are for those who load parts.
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

/** The dtype of the weights that the config names, if it is one of those that models are loaded in. */
export function weightsDtype(fields: { dtype?: DtypeName; torch_dtype?: DtypeName }): ModelConfig["weightsDtype"] {
  const named = fields.dtype ?? fields.torch_dtype;
  const name = typeof named === "string" ? named.replace(/^torch\./, "") : named;
  return name === "float32" || name === "bfloat16" || name === "float16" ? name : undefined;
}

/** Token ids that end a text, from an `eos_token_id`. Ids below 0 are in no vocabulary. */
export function endTokens(ids: v.InferOutput<typeof tokenIds>): number[] {
  const list = ids == null ? [] : typeof ids === "number" ? [ids] : ids;
  return list.filter((id) => id >= 0);
}

/** The error of a config that says two things. */
export function contradiction(name: string, one: string, other: string): AttentionBypassError {
  return new AttentionBypassError(
    "CONFIG_INVALID",
    `expected ${name} to say one thing but it has ${one} and ${other}, which contradict each other; ` +
      "remove the one that is wrong",
  );
}

/** Refuses a setting that another one, which transformers reads in its place, contradicts. */
export function requireSame(
  name: string,
  ignored: [key: string, value: unknown],
  used: [key: string, value: unknown],
): void {
  if (ignored[1] == null || ignored[1] === used[1]) return;
  throw contradiction(name, `${ignored[0]} ${describe(ignored[1])}`, `${used[0]} ${describe(used[1])}`);
}
