/**
 * The characters of a text that each token stands for, as offsets in UTF-16 code units. Each token begins where the one
 * before it ends. Tokens that are parts of one character share it: each of them begins and ends where it does.
 */
export interface TokenSpans {
  begins: Float64Array;
  ends: Float64Array;
}

/** What the spans of a tokenizer's tokens are computed with. */
export interface TokenBytes {
  /** Returns the bytes of a token. */
  bytesOf(token: number): Uint8Array;
  /** Returns whether a byte has a token. Other bytes are left out of the tokens of a text. */
  has(byte: number): boolean;
  /** Normalizes a text to one of Unicode's normal forms. */
  normalize(text: string): string;
}

/** A part of a text that is normalized independently of the rest. */
interface Unit {
  begin: number;
  end: number;
  normalized: string;
}

const loneSurrogate = /\p{Surrogate}/gu;

/** A character with those after it that may be combined with it: marks, and vowels and final consonants of Hangul. */
const character = /\p{Any}[\p{M}\u1160-\u11ff\ud7b0-\ud7ff]*/gu;
/** The same for scripts with other characters that combine. No character combines with an ASCII character after it. */
const run = /\p{Any}\P{ASCII}*/gu;

/** Returns units whose normal forms together are that of the text. */
function unitsOf(text: string, normalize: TokenBytes["normalize"]): Unit[] {
  const whole = [{ begin: 0, end: text.length, normalized: normalize(text) }];
  if (whole[0]?.normalized === text) return whole;
  for (const pattern of [character, run]) {
    const units = Array.from(text.matchAll(pattern), ({ 0: found, index }) => ({
      begin: index,
      end: index + found.length,
      normalized: normalize(found),
    }));
    if (units.map(({ normalized }) => normalized).join("") === whole[0]?.normalized) return units;
  }
  return whole;
}

/** Returns the number of bytes of a character in UTF-8. */
const bytesIn = (codePoint: number) => (codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4);

/** For each byte of a text in UTF-8, where its character begins and ends in the text. */
function charactersOfBytes(text: string, units: readonly Unit[], length: number): TokenSpans {
  const begins = new Float64Array(length);
  const ends = new Float64Array(length);
  let at = 0;
  for (const { begin, end, normalized } of units) {
    const changed = normalized !== text.slice(begin, end);
    for (let index = 0; index < normalized.length; ) {
      const codePoint = normalized.codePointAt(index) as number;
      const after = index + (codePoint > 0xffff ? 2 : 1);
      const next = at + bytesIn(codePoint);
      begins.fill(changed ? begin : begin + index, at, next);
      ends.fill(changed ? end : begin + after, at, next);
      at = next;
      index = after;
    }
  }
  return { begins, ends };
}

/** Returns the spans of a text's tokens, or undefined if the bytes of the tokens are not those of the text. */
export function tokenSpans(
  text: string,
  tokens: ArrayLike<number>,
  { bytesOf, has, normalize }: TokenBytes,
): TokenSpans | undefined {
  const whole = text.replace(loneSurrogate, "\ufffd");
  const units = unitsOf(whole, normalize);
  const bytes = Buffer.from(units.map(({ normalized }) => normalized).join(""));
  const characters = charactersOfBytes(whole, units, bytes.length);
  const begins = new Float64Array(tokens.length);
  const ends = new Float64Array(tokens.length);
  let at = 0;
  let end = 0;
  for (let index = 0; index < tokens.length; index++) {
    let begin = end;
    const own = bytesOf(tokens[index] as number);
    for (const [place, byte] of own.entries()) {
      while (at < bytes.length && bytes[at] !== byte && !has(bytes[at] as number)) at++;
      if (at === bytes.length || bytes[at] !== byte) return undefined;
      if (place === 0) begin = Math.min(end, characters.begins[at] as number);
      at++;
    }
    if (own.length > 0) end = characters.ends[at - 1] as number;
    begins[index] = begin;
    ends[index] = end;
  }
  while (at < bytes.length && !has(bytes[at] as number)) at++;
  return at === bytes.length ? { begins, ends } : undefined;
}
