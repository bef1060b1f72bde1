import type { CharacterStride } from "./options.js";
import { joinStretches, type Stretch, stretchFrom, textBetween } from "./stretches.js";

/** The lengths and the distance of windows. */
export interface WindowSettings {
  prefixLength: number;
  suffixLength: number;
  stride: number | CharacterStride;
}

/** Consecutive tokens of a document: a prefix, which the model is given, and a suffix, which is scored. */
export class Window {
  constructor(
    private readonly stretch: Stretch,
    /** The index of its first token in the stretch. */
    private readonly at: number,
    private readonly settings: WindowSettings,
  ) {}

  /** The tokens of prefix and suffix. */
  get tokens(): Int32Array {
    return this.stretch.tokens.subarray(this.at, this.#end);
  }

  /** The index of the first suffix token in the document. */
  get token(): number {
    return this.stretch.first + this.#suffix;
  }

  /** The offsets of the suffix in the document. Undefined for a document of token ids. */
  get characters(): { begin: number; end: number } | undefined {
    const { text } = this.stretch;
    return text && { begin: text.begins[this.#suffix] as number, end: text.ends[this.#end - 1] as number };
  }

  /** The offset after each suffix token. */
  get tokenEnds(): Float64Array | undefined {
    return this.stretch.text?.ends.subarray(this.#suffix, this.#end);
  }

  /** Returns the text of the suffix from an offset in the document on. */
  textFrom(begin: number): string {
    return textBetween(this.stretch, begin, this.characters?.end ?? begin) ?? "";
  }

  get suffixTokens(): Int32Array {
    return this.stretch.tokens.subarray(this.#suffix, this.#end);
  }

  get prefixTokens(): Int32Array {
    return this.stretch.tokens.subarray(this.at, this.#suffix);
  }

  get prefixText(): string | undefined {
    const { text } = this.stretch;
    return text && textBetween(this.stretch, text.begins[this.at] as number, text.begins[this.#suffix] as number);
  }

  get #suffix(): number {
    return this.at + this.settings.prefixLength;
  }

  get #end(): number {
    return this.#suffix + this.settings.suffixLength;
  }
}

/** Returns the index in a stretch of the first token from an index on that begins at or after an offset. */
function tokenFrom({ tokens, text }: Stretch, index: number, offset: number): number {
  let at = index;
  while (at < tokens.length && (text?.begins[at] as number) < offset) at++;
  return at;
}

/** Finds where windows begin in the stretches of a document. */
class Beginnings {
  /** The index in the document from which on the next window begins. */
  token = 0;
  /** With a stride in characters: the offset from which on the next window begins. */
  #offset = 0;

  constructor(private readonly stride: WindowSettings["stride"]) {}

  /** Returns the index in the stretch of the first token of the next window; the stretch's length if it has none. */
  find(stretch: Stretch): number {
    const from = Math.min(stretch.tokens.length, Math.max(0, this.token - stretch.first));
    const at = typeof this.stride === "number" ? from : tokenFrom(stretch, from, this.#offset);
    this.token = Math.max(this.token, stretch.first + at);
    return at;
  }

  /** Continues after a window that begins at an index of a stretch. */
  next({ first, text }: Stretch, at: number): void {
    if (typeof this.stride === "number") {
      this.token = first + at + this.stride;
      return;
    }
    const { characters } = this.stride;
    this.token = first + at + 1;
    this.#offset = (Math.floor((text?.begins[at] as number) / characters) + 1) * characters;
  }
}

/** Yields the windows over the stretches of a document, in order. */
export async function* windowsOf(
  stretches: AsyncIterable<Stretch>,
  settings: WindowSettings,
): AsyncGenerator<Window, void, void> {
  const length = settings.prefixLength + settings.suffixLength;
  const beginnings = new Beginnings(settings.stride);
  let left: Stretch | undefined;
  for await (const stretch of stretches) {
    const joined: Stretch = left ? joinStretches(left, stretch) : stretch;
    let at = beginnings.find(joined);
    while (at + length <= joined.tokens.length) {
      yield new Window(joined, at, settings);
      beginnings.next(joined, at);
      at = beginnings.find(joined);
    }
    left = at < joined.tokens.length ? stretchFrom(joined, at) : undefined;
  }
}
