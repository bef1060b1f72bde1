import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { AttentionBypassError } from "./errors.js";

/** What is needed of Hugging Face's tokenizer, whose own types not every way of resolving modules finds. */
interface HuggingFaceTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(tokens: number[], options: { clean_up_tokenization_spaces: boolean }): string;
}

/** Text to token ids and back, without any tokens added. */
export class Tokenizer {
  readonly #tokenizer: HuggingFaceTokenizer;

  /** @internal Use `createTokenizer`. */
  constructor(
    tokenizer: HuggingFaceTokenizer,
    /** What messages call it. */
    readonly name: string,
  ) {
    this.#tokenizer = tokenizer;
  }

  /** Token ids of a text, with no special tokens added. */
  encode(text: string): number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  /** The text of token ids. Bytes that are no whole character come out as U+FFFD. */
  decode(tokens: ArrayLike<number>): string {
    if (tokens.length === 0) return "";
    // Cleaning up would take away spaces that the model did write.
    return this.#tokenizer.decode(Array.from(tokens), { clean_up_tokenization_spaces: false });
  }
}

/** Takes the parsed content of a tokenizer.json, and what messages are to call it. Throws TOKENIZER_INVALID. */
export async function createTokenizer(json: object, name: string): Promise<Tokenizer> {
  // Loaded with the first tokenizer, so that importing this package is quick.
  const huggingFace = await import("@huggingface/tokenizers");
  try {
    return new Tokenizer(new huggingFace.Tokenizer(json, {}), name);
  } catch (error) {
    throw new AttentionBypassError(
      "TOKENIZER_INVALID",
      `the tokenizer in ${name} can't be used: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

async function readOptional(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch(() => undefined);
}

function parse(text: string, name: string): object {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === "object" && json !== null) return json;
  } catch {
    // Refused below.
  }
  throw new AttentionBypassError("TOKENIZER_INVALID", `expected a JSON object in ${name}`);
}

/** GPT-2's vocab.json and merges.txt in the form of a tokenizer.json. */
function byteLevelTokenizer(vocabulary: object, merges: string): object {
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  const endOfText = (vocabulary as Record<string, number>)["<|endoftext|>"];
  const lines = merges.split("\n").filter((line) => line !== "" && !line.startsWith("#version"));
  return {
    added_tokens: endOfText === undefined ? [] : [{ id: endOfText, content: "<|endoftext|>", special: true }],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: { type: "BPE", vocab: vocabulary, merges: lines, unk_token: null, fuse_unk: false, byte_fallback: false },
  };
}

/** The tokenizer.json that stands for the files of a folder; undefined where there is none. */
async function readFolder(folder: string): Promise<{ json: object; name: string } | undefined> {
  const name = path.join(folder, "tokenizer.json");
  const text = await readOptional(name);
  if (text !== undefined) return { json: parse(text, name), name };
  const [vocabulary, merges] = await Promise.all(
    ["vocab.json", "merges.txt"].map((file) => readOptional(path.join(folder, file))),
  );
  if (vocabulary === undefined || merges === undefined) return undefined;
  const vocabularyName = path.join(folder, "vocab.json");
  return { json: byteLevelTokenizer(parse(vocabulary, vocabularyName), merges), name: vocabularyName };
}

/** The tokenizer beside a model; undefined where there is none. */
export async function findTokenizer(folder: string): Promise<object | undefined> {
  return (await readFolder(folder))?.json;
}

/**
 * Loads a tokenizer from a tokenizer.json, or from a folder with one or with vocab.json and merges.txt.
 * Throws FILE_NOT_FOUND, TOKENIZER_INVALID.
 */
export async function readTokenizer(place: string): Promise<object> {
  const found = await stat(place).catch(() => undefined);
  if (!found) throw new AttentionBypassError("FILE_NOT_FOUND", `expected a tokenizer in ${place} but there is none`);
  if (!found.isDirectory()) return parse(await readFile(place, "utf8"), place);
  const inFolder = await readFolder(place);
  if (inFolder) return inFolder.json;
  throw new AttentionBypassError(
    "FILE_NOT_FOUND",
    `expected tokenizer.json, or vocab.json and merges.txt, in ${place} but found neither`,
  );
}

export function parseTokenizer(text: string, name: string): object {
  return parse(text, name);
}
