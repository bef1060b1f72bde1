import type { Tokenizer } from "../tokenizer/tokenizer.js";

const unfinished = "\uFFFD";
/** More than any decoder looks back. */
const longestContext = 16;

/** How many characters at the end of text could be the beginning of one of these strings. */
function heldBack(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--) {
      if (text.endsWith(stop.slice(0, length))) longest = length;
    }
  }
  return longest;
}

/**
 * Turns tokens that come one by one into text that only grows: no half of a character, and nothing that may turn out
 * to belong to a stop string.
 */
export class TextStream {
  /** The text so far, without what is held back. */
  text = "";
  /** A stop string came; the text ends before it. */
  stopped = false;

  #tokens: number[] = [];
  /** How many of the tokens only serve to decode the ones after them. */
  #context = 0;
  /** How much of the text of the other ones has been taken. */
  #taken = 0;
  #held = "";

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly stops: readonly string[] = [],
  ) {}

  /** Adds a token and returns the text that it completes. */
  push(token: number): string {
    this.#tokens.push(token);
    const decoded = this.#decodeNew();
    const finished = !decoded.endsWith(unfinished);
    const whole = finished ? decoded : decoded.slice(0, -unfinished.length);
    const text = this.#take(whole.slice(this.#taken));
    this.#taken = whole.length;
    if (finished) {
      this.#tokens = this.#tokens.slice(-longestContext);
      this.#context = this.#tokens.length;
      this.#taken = 0;
    }
    return text;
  }

  /** The text that was held back and will not be completed. */
  end(): string {
    const text = this.#take(this.#decodeNew().slice(this.#taken));
    if (this.stopped) return text;
    const rest = this.#held;
    this.#held = "";
    this.text += rest;
    return text + rest;
  }

  /** Some decoders treat a text's first token apart, so that new ones are decoded behind old ones. */
  #decodeNew(): string {
    const before = this.tokenizer.decode(this.#tokens.slice(0, this.#context));
    return this.tokenizer.decode(this.#tokens).slice(before.length);
  }

  #take(decoded: string): string {
    if (this.stopped) return "";
    let text = this.#held + decoded;
    const end = this.stops.reduce((first, stop) => {
      const place = text.indexOf(stop);
      return place < 0 || (first >= 0 && first < place) ? first : place;
    }, -1);
    if (end >= 0) {
      this.stopped = true;
      text = text.slice(0, end);
      this.#held = "";
    } else {
      const length = heldBack(text, this.stops);
      this.#held = text.slice(text.length - length);
      text = text.slice(0, text.length - length);
    }
    this.text += text;
    return text;
  }
}
