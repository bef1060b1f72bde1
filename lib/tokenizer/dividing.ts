import { isBytePair, stepsOf, type TokenizerJson } from "./tokenizer-json.js";

/** The places between a character that is not white space and white space. */
const place = /(?<=\P{White_Space})(?=\p{White_Space})/gu;

/** Returns the first such place of a text from an index on, or -1 if there is none. */
export function nextDivision(text: string, from: number): number {
  place.lastIndex = from;
  return place.exec(text)?.index ?? -1;
}

/**
 * Returns whether the tokens of a text are those of its two parts, for every text divided before white space that
 * follows another character. This holds for byte-level BPE with GPT-2's pattern: each of its alternatives matches either
 * white space or other characters after at most one space, and its lookahead reads white space only up to the next
 * other character. NFC does not change it, since white space neither composes with the character before it nor is
 * reordered. Added tokens must not match across such a place or depend on what follows them.
 */
export function dividesAtWhiteSpace(json: TokenizerJson, name: string): boolean {
  const { model, normalizer, pre_tokenizer, added_tokens } = json;
  const words = stepsOf(pre_tokenizer, name);
  const last = words.pop();
  return (
    isBytePair(model) &&
    stepsOf(normalizer, name).every(({ type }) => type === "NFC") &&
    last?.type === "ByteLevel" &&
    last.use_regex !== false &&
    last.add_prefix_space === false &&
    words.every(({ type }) => type === "Digits") &&
    added_tokens.every(({ content, single_word, rstrip }) => !single_word && !rstrip && nextDivision(content, 1) === -1)
  );
}
