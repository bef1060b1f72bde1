import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** What decoders write for a character whose bytes are not complete. */
const replacementCharacter = "\uFFFD";
/** The number of decoded tokens that are decoded again as context. No decoder looks back further. */
const maxContext = 16;

/** Returns how many characters at the end of a text may be the beginning of a stop string. */
function possibleStopLength(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stop.slice(0, length))) longest = length;
    }
  }
  return longest;
}

/**
 * Decodes tokens one by one into text that only grows. Incomplete characters and possible beginnings of stop strings
 * are withheld until they are decided.
 */
export class TextStream {
  /** The text so far, without the withheld part. */
  text = "";
  /** Whether a stop string was found. The text ends before it. */
  stopped = false;

  #tokens: number[] = [];
  /** How many of the tokens are context: already decoded, and only needed to decode the ones after them. */
  #context = 0;
  /** How many characters of the other tokens' text are already returned or withheld. */
  #used = 0;
  #withheld = "";

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly stops: readonly string[] = [],
  ) {}

  /** Adds a token. Returns the text that it completes. */
  push(token: number): string {
    this.#tokens.push(token);
    const decoded = this.#decodeNew();
    const finished = !decoded.endsWith(replacementCharacter);
    const whole = finished ? decoded : decoded.slice(0, -replacementCharacter.length);
    const text = this.#append(whole.slice(this.#used));
    this.#used = whole.length;
    if (finished) {
      this.#tokens = this.#tokens.slice(-maxContext);
      this.#context = this.#tokens.length;
      this.#used = 0;
    }
    return text;
  }

  /** Ends the text. Returns what was withheld. */
  end(): string {
    const text = this.#append(this.#decodeNew().slice(this.#used));
    if (this.stopped) return text;
    const rest = this.#withheld;
    this.#withheld = "";
    this.text += rest;
    return text + rest;
  }

  /**
   * Decodes the new tokens after the context tokens, since some decoders treat the first token of a text differently.
   */
  #decodeNew(): string {
    const before = this.tokenizer.decode(this.#tokens.slice(0, this.#context));
    return this.tokenizer.decode(this.#tokens).slice(before.length);
  }

  #append(decoded: string): string {
    if (this.stopped) return "";
    let text = this.#withheld + decoded;
    const end = this.stops.reduce((first, stop) => {
      const place = text.indexOf(stop);
      return place < 0 || (first >= 0 && first < place) ? first : place;
    }, -1);
    if (end >= 0) {
      this.stopped = true;
      text = text.slice(0, end);
      this.#withheld = "";
    } else {
      const length = possibleStopLength(text, this.stops);
      this.#withheld = text.slice(text.length - length);
      text = text.slice(0, text.length - length);
    }
    this.text += text;
    return text;
  }
}
