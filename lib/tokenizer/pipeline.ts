import { AddedTokenSplitter, type Piece } from "./added-tokens.js";
import { byteCharacters, byteLevelPattern, bytesOf, decodeByteLevel } from "./byte-level.js";
import { BytePairMerging } from "./byte-pair-merging.js";
import { dividesAtWhiteSpace } from "./dividing.js";
import type { Library, LibraryPreTokenizer, LibraryTokenizer } from "./library.js";
import { type TokenSpans, tokenSpans } from "./token-spans.js";
import { isBytePair, type Step, stepsOf, type TokenizerJson } from "./tokenizer-json.js";

/** Steps that take linear time in the length of the text, with any settings in a tokenizer.json. */
const boundedSteps = new Set(["NFC", "NFD", "NFKC", "NFKD", "ByteLevel", "Digits"]);

/** Half of a surrogate pair, which UTF-8 cannot encode. */
const loneSurrogate = /\p{Surrogate}/gu;

const normalForms = new Set(["NFC", "NFD", "NFKC", "NFKD"]);

/** NFC makes a text at most four times shorter, in UTF-16 code units. */
const nfcShrinks = 4;

function allBounded(part: Step | null, name: string): boolean {
  return stepsOf(part, name).every(({ type }) => boundedSteps.has(type));
}

/** Replaces the library's patterns, which use JavaScript's definitions of white space and digits, by Unicode's. */
function replacePatterns(step: Step | null, built: LibraryPreTokenizer | null): void {
  if (!step || !built) return;
  if (step.type === "ByteLevel") built.pattern = byteLevelPattern;
  if (step.type === "Digits") built.pattern = step.individual_digits ? /\P{N}+|\p{N}/gu : /\P{N}+|\p{N}+/gu;
  if (step.type !== "Sequence") return;
  const inner = step.pretokenizers as Step[];
  for (const [index, one] of (built.tokenizers ?? []).entries()) replacePatterns(inner[index] ?? null, one);
}

/** Encodes text and decodes token ids as Python's tokenizers do, on the calling thread. */
export class Pipeline {
  /**
   * Whether only the length of the text determines the time and memory of encoding, not the content of tokenizer.json.
   */
  readonly bounded: boolean;
  /** A text of n characters has at least n / charactersPerToken tokens; infinite if that is unknown. */
  readonly charactersPerToken: number;
  /** Whether a text may be divided before white space, and its parts encoded separately. */
  readonly divides: boolean;

  readonly #steps: LibraryTokenizer;
  readonly #merging: BytePairMerging | undefined;
  readonly #outside: AddedTokenSplitter;
  readonly #inside: AddedTokenSplitter;
  readonly #tokens = new Map<number, string>();
  readonly #byteLevel: boolean;
  /** The bytes that have a token of their own. */
  readonly #bytes: Uint8Array;
  readonly #onlyNormalForms: boolean;

  /** Throws the library's error if it does not support the tokenizer. */
  constructor(library: Library, json: TokenizerJson, name: string) {
    const { model, added_tokens } = json;
    const pair = isBytePair(model) ? model : undefined;
    // The library gets an empty model: `BytePairMerging` is faster and has the vocabulary.
    const libraryModel = pair ? { type: "BPE", vocab: {}, merges: [] } : model;
    this.#steps = new library.Tokenizer({ ...json, model: libraryModel, added_tokens: [], post_processor: null }, {});
    replacePatterns(json.pre_tokenizer, this.#steps.pre_tokenizer);
    if (pair) {
      const ids = new Map(Object.entries(pair.vocab));
      this.#merging = new BytePairMerging(ids, pair.merges, pair.ignore_merges);
      for (const [token, id] of ids) this.#tokens.set(id, token);
    } else {
      this.#steps.model.vocab.forEach((token, id) => {
        if (token !== undefined) this.#tokens.set(id, token);
      });
    }
    for (const { id, content } of added_tokens) this.#tokens.set(id, content);
    const normalized = added_tokens.filter((token) => token.normalized);
    const others = added_tokens.filter((token) => !token.normalized);
    this.#outside = new AddedTokenSplitter(others.map((token) => [token.content, token]));
    this.#inside = new AddedTokenSplitter(normalized.map((token) => [this.#normalize(token.content), token]));
    const decoding = stepsOf(json.decoder, name);
    this.#byteLevel = decoding.length === 1 && decoding[0]?.type === "ByteLevel";
    this.bounded =
      pair !== undefined &&
      allBounded(json.normalizer, name) &&
      allBounded(json.pre_tokenizer, name) &&
      (json.decoder === null || this.#byteLevel);
    this.charactersPerToken = this.#mostCharactersPerToken(json, name);
    this.divides = this.bounded && this.#byteLevel && dividesAtWhiteSpace(json, name);
    this.#bytes = Uint8Array.from(byteCharacters, (character) => Number(pair && Object.hasOwn(pair.vocab, character)));
    this.#onlyNormalForms = stepsOf(json.normalizer, name).every(({ type }) => normalForms.has(type));
  }

  #mostCharactersPerToken(json: TokenizerJson, name: string): number {
    const { model, added_tokens, normalizer } = json;
    const normalizing = stepsOf(normalizer, name);
    const bytes = stepsOf(json.pre_tokenizer, name).some(({ type }) => type === "ByteLevel");
    const known =
      this.bounded &&
      bytes &&
      isBytePair(model) &&
      byteCharacters.every((character) => Object.hasOwn(model.vocab, character)) &&
      added_tokens.every(({ lstrip, rstrip }) => !lstrip && !rstrip) &&
      normalizing.every(({ type }) => type === "NFC");
    if (!known) return Number.POSITIVE_INFINITY;
    let longest = 1;
    for (const token of this.#tokens.values()) longest = Math.max(longest, token.length);
    return longest * (normalizing.length > 0 ? nfcShrinks : 1);
  }

  #normalize(text: string): string {
    return this.#steps.normalizer?.normalize(text) ?? text;
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    let section = 0;
    const each = (pieces: Piece[], work: (text: string) => void) => {
      for (const piece of pieces) {
        if (typeof piece === "number") ids.push(piece);
        else if (piece !== "") work(piece);
      }
    };
    each(this.#outside.split(text.replace(loneSurrogate, "\uFFFD")), (outer) => {
      each(this.#inside.split(this.#normalize(outer)), (inner) => this.#encodeWords(inner, section++, ids));
    });
    return ids;
  }

  #encodeWords(text: string, section: number, ids: number[]): void {
    const { pre_tokenizer, model } = this.#steps;
    const words = pre_tokenizer ? pre_tokenizer.pre_tokenize(text, { section_index: section }) : [text];
    if (this.#merging) {
      for (const word of words) this.#merging.encode(word, ids);
      return;
    }
    for (const token of model(words)) {
      const id = model.tokens_to_ids.get(token) ?? model.unk_token_id;
      if (id !== undefined) ids.push(id);
    }
  }

  /** Returns the bytes of a token's text in UTF-8, which may be a part of a character; none for an id without a token. */
  bytesOf(id: number): Uint8Array {
    const token = this.#tokens.get(id);
    if (token === undefined) return new Uint8Array();
    return this.#byteLevel ? bytesOf(token) : new TextEncoder().encode(this.decode([id]));
  }

  /**
   * Returns the characters that the tokens of a text stand for. Returns undefined if the tokenizer does not encode the
   * bytes of the text or of its normal form.
   */
  spans(text: string, ids: ArrayLike<number>): TokenSpans | undefined {
    if (!this.#byteLevel || !this.#onlyNormalForms) return undefined;
    return tokenSpans(text, ids, {
      bytesOf: (id) => this.bytesOf(id),
      has: (byte) => this.#bytes[byte] === 1,
      normalize: (part) => this.#normalize(part),
    });
  }

  /** Returns the text of token ids. Ids without a token are left out. */
  decode(ids: ArrayLike<number>): string {
    const tokens: string[] = [];
    for (let index = 0; index < ids.length; index++) {
      const token = this.#tokens.get(ids[index] as number);
      if (token !== undefined) tokens.push(token);
    }
    if (this.#byteLevel) return decodeByteLevel(tokens);
    const { decoder } = this.#steps;
    return decoder ? decoder.decode(tokens) : tokens.join(" ");
  }
}
