import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { describe, validate, wholeNumber } from "../errors/validation.js";
import type { AddedToken } from "./added-tokens.js";
import { type ChatTemplate, chatTemplate } from "./chat-template.js";

/** Limits of a tokenizer.json. Each is several times what published tokenizers need. */
const highestToken = 2 ** 24;
const longestAddedToken = 1024;
const mostSteps = 64;
/** The largest factor by which all replacements of a part together may make a text longer. */
const mostGrowth = 1024;

/** A step of a tokenizer, such as a normalizer, as in tokenizer.json. */
export type Step = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A byte-pair encoding model, with each merge split into its two tokens. */
export interface BytePairModel {
  readonly type: "BPE";
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (readonly [left: string, right: string])[];
  readonly ignore_merges: boolean;
}

/** A tokenizer.json that has been checked. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: Step | null;
  readonly pre_tokenizer: Step | null;
  readonly decoder: Step | null;
  readonly model: BytePairModel | Step;
  /** Not a part of published files: that of tokenizer_config.json or chat_template.jinja. */
  readonly chat_template?: ChatTemplate | undefined;
}

const flag = (fallback: boolean) => v.nullish(v.boolean(), fallback);
const tokenId = wholeNumber(0);

export const addedTokenFields = v.pipe(
  v.looseObject({
    content: v.pipe(
      v.string(),
      v.check((text: string) => text.length <= longestAddedToken, `text of at most ${longestAddedToken} characters`),
    ),
    single_word: flag(false),
    lstrip: flag(false),
    rstrip: flag(false),
    normalized: v.nullish(v.boolean()),
    special: flag(false),
  }),
  v.transform(({ content, single_word, lstrip, rstrip, normalized, special }) => {
    return { content, single_word, lstrip, rstrip, special, normalized: normalized ?? !special };
  }),
);

const step = v.nullish(v.looseObject({ type: v.string() }));

const fields = v.looseObject({
  added_tokens: v.nullish(v.array(v.looseObject({ id: tokenId })), []),
  normalizer: step,
  pre_tokenizer: step,
  decoder: step,
  model: v.looseObject({ type: v.nullish(v.string()) }),
  chat_template: v.optional(chatTemplate),
});

function invalid(message: string): AttentionBypassError {
  return new AttentionBypassError("TOKENIZER_INVALID", message);
}

/** Returns all steps of a part in the order in which they run, including those of nested sequences. */
export function stepsOf(part: Step | null, name: string): Step[] {
  const steps: Step[] = [];
  const left: unknown[] = [part];
  for (let next = left.pop(); left.length > 0 || next != null; next = left.pop()) {
    if (typeof next !== "object" || next === null) continue;
    const one = next as Step;
    const inner = one.type === "Sequence" ? (one.normalizers ?? one.pretokenizers ?? one.decoders) : undefined;
    if (inner != null && !Array.isArray(inner)) {
      throw invalid(
        `expected a list of steps for a Sequence of the tokenizer in ${name} but received ${describe(inner)}`,
      );
    }
    if (Array.isArray(inner)) left.push(...[...inner.slice(0, mostSteps + 1)].reverse());
    else steps.push(one);
    if (steps.length > mostSteps || left.length > mostSteps) {
      throw invalid(`expected at most ${mostSteps} steps in a part of the tokenizer in ${name} but received more`);
    }
  }
  return steps;
}

/** Throws if the replacements make a text so much longer that a few steps could fill the memory. */
function checkGrowth(part: Step | null, name: string): void {
  let growth = 1;
  for (const { type, content, pattern } of stepsOf(part, name)) {
    if (type !== "Replace" || typeof content !== "string") continue;
    const literal = (pattern as { String?: unknown } | null | undefined)?.String;
    const replaced = typeof literal === "string" && literal !== "" ? literal.length : undefined;
    // A regular expression may match the empty string, before each character and after the last.
    growth *= Math.max(1, replaced === undefined ? content.length + 1 : content.length / replaced);
  }
  if (growth <= mostGrowth) return;
  throw invalid(
    `expected the replacements in ${name} to make a text at most ${mostGrowth} times longer but they can make it ` +
      `${growth} times longer`,
  );
}

function checkVocabulary(vocabulary: unknown, name: string): Record<string, number> {
  if (typeof vocabulary !== "object" || vocabulary === null || Array.isArray(vocabulary)) {
    throw invalid(`expected an object for model.vocab in ${name} but received ${describe(vocabulary)}`);
  }
  for (const [token, id] of Object.entries(vocabulary)) checkId(id, describe(token), name);
  return vocabulary as Record<string, number>;
}

function checkId(id: unknown, token: string, name: string): void {
  if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < highestToken) return;
  throw invalid(
    `expected an id from 0 to ${highestToken - 1} for the token ${token} in ${name} but received ${describe(id)}`,
  );
}

function checkMerges(merges: unknown, name: string): [string, string][] {
  if (!Array.isArray(merges)) {
    throw invalid(`expected a list for model.merges in ${name} but received ${describe(merges)}`);
  }
  return merges.map((merge: unknown, index) => {
    const parts = typeof merge === "string" ? merge.split(" ") : merge;
    if (Array.isArray(parts) && parts.length === 2 && parts.every((part) => typeof part === "string" && part !== "")) {
      return parts as [string, string];
    }
    throw invalid(`expected two tokens for model.merges[${index}] in ${name} but received ${describe(merge)}`);
  });
}

/**
 * Settings of byte-pair encoding that `BytePairMerging` does not support; the library runs tokenizers that have one.
 */
const otherSettings = ["unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"] as const;

/** Checks the model part. Byte-pair encoding is converted to a `BytePairModel`; other kinds are returned unchanged. */
function checkModel(model: Record<string, unknown>, name: string): BytePairModel | Step {
  const type = model.type ?? (model.merges === undefined ? undefined : "BPE");
  if (typeof model.dropout === "number" && model.dropout > 0) {
    throw invalid(
      `expected no model.dropout in ${name}, because it makes tokens random, but received ${model.dropout}`,
    );
  }
  if (type !== "BPE") return model as Step;
  const vocab = checkVocabulary(model.vocab, name);
  const merges = checkMerges(model.merges, name);
  if (otherSettings.some((key) => model[key])) return { ...model, type: "BPE", vocab, merges };
  return { type: "BPE", vocab, merges, ignore_merges: model.ignore_merges === true };
}

export function isBytePair(model: BytePairModel | Step): model is BytePairModel {
  return model.type === "BPE" && otherSettings.every((key) => !(model as Step)[key]);
}

/** Yields the id and token of each vocabulary entry that has one of these ids. */
function* tokensWithIds(vocabulary: Readonly<Record<string, unknown>> | undefined, ids: ReadonlySet<number>) {
  for (const [token, id] of Object.entries(vocabulary ?? {})) {
    if (ids.has(id as number)) yield [id as number, token] as const;
  }
}

/**
 * Checks added tokens. A later token replaces an earlier one with the same content. Throws TOKENIZER_INVALID if a token
 * has two ids or an id has two tokens.
 */
export function checkAddedTokens(
  tokens: readonly AddedToken[],
  vocabulary: Readonly<Record<string, unknown>> | undefined,
  name: string,
): AddedToken[] {
  const byContent = new Map<string, AddedToken>();
  const byId = new Map<number, string>(tokensWithIds(vocabulary, new Set(tokens.map(({ id }) => id))));
  for (const token of tokens) {
    if (token.content === "") continue;
    const shown = describe(token.content);
    checkId(token.id, shown, name);
    const inVocabulary = vocabulary && Object.hasOwn(vocabulary, token.content) ? vocabulary[token.content] : undefined;
    const known = byContent.get(token.content)?.id ?? inVocabulary;
    if (known !== undefined && known !== token.id) {
      throw invalid(
        `expected one id for the token ${shown} in ${name} but received ${describe(known)} and ${token.id}`,
      );
    }
    const other = byId.get(token.id);
    if (other !== undefined && other !== token.content) {
      throw invalid(
        `expected one token for the id ${token.id} in ${name} but received ${describe(other)} and ${shown}`,
      );
    }
    byContent.set(token.content, token);
    byId.set(token.id, token.content);
  }
  return [...byContent.values()];
}

/** Checks the content of a tokenizer.json. `name` is the name used in error messages. Throws TOKENIZER_INVALID. */
export function checkTokenizerJson(json: unknown, name: string): TokenizerJson {
  const checked = validate(fields, json, name, "TOKENIZER_INVALID");
  const model = checkModel(checked.model, name);
  const parts = {
    normalizer: (checked.normalizer ?? null) as Step | null,
    pre_tokenizer: (checked.pre_tokenizer ?? null) as Step | null,
    decoder: (checked.decoder ?? null) as Step | null,
  };
  for (const part of Object.values(parts)) checkGrowth(part, name);
  const added = checked.added_tokens.map((token, index) => {
    const rest = validate(addedTokenFields, token, `added_tokens[${index}] in ${name}`, "TOKENIZER_INVALID");
    return { ...rest, id: token.id };
  });
  const vocabulary = isBytePair(model) ? model.vocab : undefined;
  const { chat_template } = checked;
  return {
    ...parts,
    model,
    added_tokens: checkAddedTokens(added, vocabulary, name),
    ...(chat_template && { chat_template }),
  };
}
