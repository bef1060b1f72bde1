import { AttentionBypassError } from "../errors/errors.js";
import { nextDivision } from "../tokenizer/dividing.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { joinTokens, requireTokenizer, type TokenContext, toTokenIds } from "../tokenizer/tokens.js";
import type { ReadDocument } from "./document-file.js";

/** The text of a stretch, and the characters of each of its tokens. */
interface StretchText {
  value: string;
  /** The offset of the text in the document. */
  begin: number;
  /** The offset of the first character of each token in the document. */
  begins: Float64Array;
  /** The offset after the last character of each token. */
  ends: Float64Array;
}

/** Consecutive tokens of a document. */
export interface Stretch {
  /** The index of the first token in the document. */
  first: number;
  tokens: Int32Array;
  /** Absent for a document of token ids. */
  text?: StretchText;
}

/** A text is divided after about so many characters, which are encoded on the calling thread. */
const partLength = 8192;

const byteOrderMark = "\ufeff";

/**
 * Yields a text in parts that may be encoded separately. A part is longer than `partLength` if the text cannot be
 * divided there, and is the whole text if the tokenizer does not divide texts.
 */
async function* parts(pieces: AsyncIterable<string>, divides: boolean): AsyncGenerator<string, void, void> {
  let text = "";
  let from = partLength;
  for await (const piece of pieces) {
    text += piece;
    while (divides && text.length > from) {
      const place = nextDivision(text, from);
      if (place < 0) {
        // The last character may be followed by white space in the next piece.
        from = text.length - 1;
        break;
      }
      yield text.slice(0, place);
      text = text.slice(place);
      from = partLength;
    }
  }
  if (text !== "") yield text;
}

async function encodePart(
  text: string,
  tokenizer: Tokenizer,
  context: TokenContext,
  name: string,
  signal: AbortSignal | undefined,
) {
  const tokens = toTokenIds(await tokenizer.encodeAsync(text, { signal }), context.config, name);
  const spans = tokenizer.spans(text, tokens);
  if (spans !== undefined) return { tokens, spans };
  throw new AttentionBypassError(
    "TOKENIZER_INVALID",
    `expected a byte-level tokenizer for ${name}, whose tokens are the bytes of the text, but that of ${tokenizer.name} ` +
      "is not; pass token ids",
  );
}

/**
 * Yields the tokens of a document in parts, with the characters that each token stands for. The tokens are those of the
 * whole text. Throws TOKENIZER_INVALID, TOKEN_OUT_OF_RANGE.
 */
export async function* encodeDocument(
  { name, content }: ReadDocument,
  pieces: AsyncIterable<string>,
  context: TokenContext,
  signal: AbortSignal | undefined,
): AsyncGenerator<Stretch, void, void> {
  if ("tokens" in content) {
    yield { first: 0, tokens: content.tokens };
    return;
  }
  const tokenizer = requireTokenizer(context.tokenizer, name);
  let first = 0;
  // The offset of the part, and of the text after the last token: characters without a token belong to the next one.
  let offset = 0;
  let end = 0;
  let text = "";
  for await (const part of parts(pieces, tokenizer.divides)) {
    const marked = offset === 0 && content.ofFile && part.startsWith(byteOrderMark);
    if (marked) offset = end = byteOrderMark.length;
    const value = marked ? part.slice(byteOrderMark.length) : part;
    const { tokens, spans } = await encodePart(value, tokenizer, context, name, signal);
    text += value;
    if (tokens.length > 0) {
      const begins = spans.begins.map((index) => index + offset).fill(end, 0, 1);
      const ends = spans.ends.map((index) => index + offset);
      const length = (ends.at(-1) as number) - end;
      yield { first, tokens, text: { value: text.slice(0, length), begin: end, begins, ends } };
      first += tokens.length;
      end += length;
      text = text.slice(length);
    }
    offset += value.length;
  }
}

/** Returns the tokens of a stretch from an index on. */
export function stretchFrom({ first, tokens, text }: Stretch, index: number): Stretch {
  const rest = { first: first + index, tokens: tokens.subarray(index) };
  if (text === undefined) return rest;
  const begin = text.begins[index] ?? text.begin + text.value.length;
  return {
    ...rest,
    text: {
      value: text.value.slice(begin - text.begin),
      begin,
      begins: text.begins.subarray(index),
      ends: text.ends.subarray(index),
    },
  };
}

function joinOffsets(before: Float64Array, after: Float64Array): Float64Array {
  const joined = new Float64Array(before.length + after.length);
  joined.set(before);
  joined.set(after, before.length);
  return joined;
}

/** Returns two stretches that follow each other as one. */
export function joinStretches(before: Stretch, after: Stretch): Stretch {
  const joined = { first: before.first, tokens: joinTokens(before.tokens, after.tokens) };
  if (before.text === undefined || after.text === undefined) return joined;
  return {
    ...joined,
    text: {
      value: before.text.value + after.text.value,
      begin: before.text.begin,
      begins: joinOffsets(before.text.begins, after.text.begins),
      ends: joinOffsets(before.text.ends, after.text.ends),
    },
  };
}

/** Returns the text from one offset in the document to another. */
export const textBetween = ({ text }: Stretch, begin: number, end: number): string | undefined =>
  text?.value.slice(begin - text.begin, end - text.begin);
