/** An added token, which is matched before the rest of the text is divided into words. Fields as in tokenizer.json. */
export interface AddedToken {
  id: number;
  content: string;
  /** Whether it matches only if no letter or digit is next to it. */
  single_word: boolean;
  /** Whether it includes the white space before it. */
  lstrip: boolean;
  /** Whether it includes the white space after it. */
  rstrip: boolean;
  /** Whether it is matched in the normalized text. Then its content is normalized too. */
  normalized: boolean;
  special: boolean;
}

/** A piece of a text: the id of an added token, or text without added tokens. */
export type Piece = number | string;

interface Node {
  next: Map<string, Node>;
  token: AddedToken | undefined;
}

const word = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]";
const wordBefore = new RegExp(`${word}$`, "u");
const wordAfter = new RegExp(`^${word}`, "u");
const space = /\p{White_Space}/u;

/** The maximum number of UTF-16 code units of a character. */
const widestCharacter = 2;

/**
 * Divides texts at added tokens as Python's tokenizers do: the leftmost match first, and the longest one at a position.
 */
export class AddedTokenSplitter {
  readonly #root: Node = { next: new Map(), token: undefined };

  /** Takes pairs of the text to find and its token. */
  constructor(tokens: Iterable<readonly [content: string, token: AddedToken]>) {
    for (const [content, token] of tokens) {
      let node = this.#root;
      for (let index = 0; index < content.length; index++) {
        const unit = content[index] as string;
        const next: Node = node.next.get(unit) ?? { next: new Map(), token: undefined };
        node.next.set(unit, next);
        node = next;
      }
      if (content !== "") node.token = token;
    }
  }

  /** Returns the longest token that begins at a position, and its end. */
  #match(text: string, begin: number): { token: AddedToken; end: number } | undefined {
    let found: { token: AddedToken; end: number } | undefined;
    let node: Node | undefined = this.#root;
    for (let end = begin; end < text.length; ) {
      node = node.next.get(text[end] as string);
      if (!node) break;
      end++;
      if (node.token) found = { token: node.token, end };
    }
    return found;
  }

  split(text: string): Piece[] {
    if (this.#root.next.size === 0) return [text];
    const pieces: Piece[] = [];
    let taken = 0;
    for (let index = 0; index < text.length; ) {
      const match = this.#match(text, index);
      if (!match) {
        index++;
        continue;
      }
      const { token } = match;
      let [begin, end] = [index, match.end];
      index = end;
      if (token.single_word && touchesWord(text, begin, end)) continue;
      if (token.lstrip) while (begin > taken && space.test(text[begin - 1] as string)) begin--;
      if (token.rstrip) while (end < text.length && space.test(text[end] as string)) end++;
      if (taken < begin) pieces.push(text.slice(taken, begin));
      pieces.push(token.id);
      // A later token inside the white space of this one still matches, as in Python.
      taken = end;
    }
    if (taken < text.length) pieces.push(text.slice(taken));
    return pieces;
  }
}

function touchesWord(text: string, begin: number, end: number): boolean {
  const before = text.slice(Math.max(0, begin - widestCharacter), begin);
  return wordBefore.test(before) || wordAfter.test(text.slice(end, end + widestCharacter));
}
