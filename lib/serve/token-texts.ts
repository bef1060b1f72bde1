import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** Converts tokens to text as OpenAI's API does: a token that is a part of a character is written as its bytes. */
export class TokenTexts {
  readonly #texts = new Map<number, string>();
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  constructor(private readonly tokenizer: Tokenizer) {}

  /** Returns the text of a token, such as " the" or "bytes:\xe2\x80". */
  of(token: number): string {
    let text = this.#texts.get(token);
    if (text === undefined) {
      text = this.#text(this.tokenizer.bytesOf(token));
      this.#texts.set(token, text);
    }
    return text;
  }

  #text(bytes: Uint8Array): string {
    try {
      return this.#decoder.decode(bytes);
    } catch {
      return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")}`;
    }
  }
}
