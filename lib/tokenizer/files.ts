import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { quoted } from "../errors/quoted.js";
import { validate, wholeNumber } from "../errors/validation.js";
import type { AddedToken } from "./added-tokens.js";
import type { ChatTemplate } from "./chat-template.js";
import {
  addedTokenFields,
  checkAddedTokens,
  checkTokenizerJson,
  type Step,
  type TokenizerJson,
} from "./tokenizer-json.js";

/** The size limit of a tokenizer file: twice the largest published tokenizer.json, which has 262,000 tokens. */
const mostBytes = 2 ** 26;

function invalid(message: string): AttentionBypassError {
  return new AttentionBypassError("TOKENIZER_INVALID", message);
}

/** Returns the text of a file; undefined if it does not exist. */
async function readOptional(file: string): Promise<string | undefined> {
  const found = await stat(file).catch(() => undefined);
  if (!found) return undefined;
  if (!found.isFile()) throw invalid(`expected a file in ${file} but it is not a regular file`);
  if (found.size > mostBytes) {
    throw invalid(`expected a file of at most ${mostBytes} bytes in ${file} but it has ${found.size}`);
  }
  try {
    return (await readFile(file, "utf8")).replace(/^\uFEFF/, "");
  } catch (error) {
    throw invalid(`expected to read ${file} but ${(error as Error).message}`);
  }
}

function parse(text: string, name: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  } catch {
    // The error is thrown below.
  }
  throw invalid(`expected a JSON object in ${name} but received ${quoted(text)}`);
}

async function parseOptional(folder: string, name: string): Promise<Record<string, unknown> | undefined> {
  const file = path.join(folder, name);
  const text = await readOptional(file);
  return text === undefined ? undefined : parse(text, file);
}

const endOfText = "<|endoftext|>";

function specialToken(content: string, id: number): AddedToken {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

/** Converts GPT-2's vocab.json and merges.txt to the form of a tokenizer.json. */
function byteLevelTokenizer(vocabulary: Record<string, unknown>, merges: string): object {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const id = Object.hasOwn(vocabulary, endOfText) ? (vocabulary[endOfText] as number) : undefined;
  const lines = merges.split(/\r?\n/).filter((line) => line !== "" && !line.startsWith("#version"));
  return {
    added_tokens: id === undefined ? [] : [specialToken(endOfText, id)],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: "BPE", vocab: vocabulary, merges: lines, unk_token: null, fuse_unk: false, byte_fallback: false },
  };
}

const specialNames = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;
const named = v.nullish(v.union([v.string(), addedTokenFields], "text, or an object with content"));
const namedFields = Object.fromEntries(specialNames.map((name) => [name, named]));

const settings = v.looseObject({
  add_prefix_space: v.nullish(v.boolean()),
  added_tokens_decoder: v.nullish(v.record(v.string(), addedTokenFields)),
  additional_special_tokens: v.nullish(v.array(v.union([v.string(), addedTokenFields]))),
  chat_template: v.nullish(
    v.union(
      [v.string(), v.array(v.looseObject({ name: v.string(), template: v.string() }))],
      "a template, or a list of named templates",
    ),
  ),
  ...namedFields,
});
type Settings = v.InferOutput<typeof settings>;
type Named = v.InferOutput<typeof named>;

const addedTokensFile = v.record(v.string(), wholeNumber(0));

/** Returns a step with `add_prefix_space` set in each ByteLevel step. */
function withPrefixSpace(step: Step | null, add_prefix_space: boolean): Step | null {
  if (step?.type === "ByteLevel") return { ...step, add_prefix_space };
  if (step?.type !== "Sequence" || !Array.isArray(step.pretokenizers)) return step;
  return { ...step, pretokenizers: step.pretokenizers.map((inner: Step) => withPrefixSpace(inner, add_prefix_space)) };
}

/**
 * Returns the tokens of added_tokens_decoder in tokenizer_config.json, or else of its predecessor added_tokens.json.
 */
function addedTokens(
  config: Settings,
  legacy: Record<string, number> | undefined,
  specials: Set<string>,
): AddedToken[] {
  const decoder = config.added_tokens_decoder;
  if (decoder) return Object.entries(decoder).map(([id, token]) => ({ ...token, id: Number(id) }));
  return Object.entries(legacy ?? {}).map(([content, id]) => {
    const special = specials.has(content);
    return { ...specialToken(content, id), special, normalized: !special };
  });
}

/** Returns the chat template of chat_template.jinja, or else of tokenizer_config.json. */
async function readChatTemplate(config: Settings, folder: string): Promise<ChatTemplate | undefined> {
  const inConfig = Array.isArray(config.chat_template)
    ? config.chat_template.find(({ name }) => name === "default")?.template
    : config.chat_template;
  const source = (await readOptional(path.join(folder, "chat_template.jinja"))) ?? inConfig;
  if (source == null) return undefined;
  const named = specialNames.map((name) => {
    const token = config[name] as Named;
    return [name, typeof token === "string" ? token : token?.content] as const;
  });
  const tokens = Object.fromEntries(named.filter((entry): entry is [(typeof entry)[0], string] => entry[1] != null));
  return { source, tokens };
}

/** Adds the settings of tokenizer_config.json and added_tokens.json, which transformers reads too. */
async function withSettings(json: TokenizerJson, folder: string): Promise<TokenizerJson> {
  const [given, legacy] = await Promise.all(
    ["tokenizer_config.json", "added_tokens.json"].map((name) => parseOptional(folder, name)),
  );
  if (!given && !legacy) return { ...json, chat_template: await readChatTemplate({}, folder) };
  const name = path.join(folder, given ? "tokenizer_config.json" : "added_tokens.json");
  const config = validate(settings, given ?? {}, name, "TOKENIZER_INVALID");
  const legacyTokens =
    legacy && validate(addedTokensFile, legacy, path.join(folder, "added_tokens.json"), "TOKENIZER_INVALID");
  const specials = [...specialNames.map((key) => config[key] as Named), ...(config.additional_special_tokens ?? [])]
    .filter((token) => token != null)
    .map((token) => (typeof token === "string" ? specialToken(token, -1) : { ...token, special: true }));
  const contents = new Set(specials.map(({ content }) => content));
  const tokens = [...json.added_tokens, ...addedTokens(config, legacyTokens, contents)];
  const vocabulary = (json.model as { vocab?: Record<string, number> }).vocab ?? {};
  const known = new Set(tokens.map(({ content }) => content));
  let free = Object.keys(vocabulary).length;
  for (const { id } of tokens) free = Math.max(free, id + 1);
  for (const token of specials) {
    if (known.has(token.content)) continue;
    known.add(token.content);
    const id = Object.hasOwn(vocabulary, token.content) ? (vocabulary[token.content] as number) : free++;
    tokens.push({ ...token, id });
  }
  return {
    ...json,
    pre_tokenizer:
      config.add_prefix_space == null
        ? json.pre_tokenizer
        : withPrefixSpace(json.pre_tokenizer, config.add_prefix_space),
    added_tokens: checkAddedTokens(tokens, vocabulary, name),
    chat_template: await readChatTemplate(config, folder),
  };
}

/** Reads the tokenizer files of a folder; returns undefined if there are none. */
async function readFolder(folder: string): Promise<TokenizerJson | undefined> {
  const name = path.join(folder, "tokenizer.json");
  const text = await readOptional(name);
  if (text !== undefined) return withSettings(checkTokenizerJson(parse(text, name), name), folder);
  const vocabulary = await readOptional(path.join(folder, "vocab.json"));
  const merges = await readOptional(path.join(folder, "merges.txt"));
  if (vocabulary === undefined || merges === undefined) return undefined;
  const vocabularyName = path.join(folder, "vocab.json");
  const json = byteLevelTokenizer(parse(vocabulary, vocabularyName), merges);
  return withSettings(checkTokenizerJson(json, vocabularyName), folder);
}

/** Reads the tokenizer in a model's folder; returns undefined if there is none. Throws TOKENIZER_INVALID. */
export async function findTokenizer(folder: string): Promise<TokenizerJson | undefined> {
  return readFolder(folder);
}

/**
 * Reads a tokenizer from a tokenizer.json, or from a folder with one or with vocab.json and merges.txt.
 * Throws FILE_NOT_FOUND, TOKENIZER_INVALID.
 */
export async function readTokenizer(place: string): Promise<TokenizerJson> {
  const found = await stat(place).catch(() => undefined);
  if (!found) throw new AttentionBypassError("FILE_NOT_FOUND", `expected a tokenizer in ${place} but there is none`);
  if (!found.isDirectory()) return parseTokenizer((await readOptional(place)) ?? "", place);
  const inFolder = await readFolder(place);
  if (inFolder) return inFolder;
  throw new AttentionBypassError(
    "FILE_NOT_FOUND",
    `expected tokenizer.json, or vocab.json and merges.txt, in ${place} but found neither`,
  );
}

/** Parses the text of a tokenizer.json. Throws TOKENIZER_INVALID. */
export function parseTokenizer(text: string, name: string): TokenizerJson {
  return checkTokenizerJson(parse(text, name), name);
}
