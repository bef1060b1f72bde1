import { TextStream } from "../generation/text-stream.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { ChoicePart, ChoiceToken } from "./choices.js";
import type { TokenTexts } from "./token-texts.js";

/** The log-probabilities of a choice in OpenAI's form for completions. */
export interface CompletionLogprobs {
  tokens: string[];
  token_logprobs: (number | null)[];
  /** Null if none were requested. A token that is not among the most probable ones is added. */
  top_logprobs: (Record<string, number> | null)[] | null;
  /** The Unicode code points of the choice's text before each token, as Python counts them. */
  text_offset: number[];
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Converts the tokens of one choice, part after part. */
export class CompletionLogprobsWriter {
  #texts: TextStream;
  /** The code points before the text of `#texts`, and in it. */
  #before = 0;
  #length = 0;
  #generated = false;

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly tokenTexts: TokenTexts,
    /** The number of most probable tokens of each token. */
    private readonly ranks: number,
  ) {
    this.#texts = new TextStream(tokenizer);
  }

  /** Returns the log-probabilities of the tokens of a part. */
  write({ tokens, text, generated }: ChoicePart): CompletionLogprobs {
    if (generated && !this.#generated) {
      this.#generated = true;
      this.#before += this.#length;
      this.#length = 0;
      this.#texts = new TextStream(this.tokenizer);
    }
    const written: CompletionLogprobs = {
      tokens: tokens.map(({ token }) => this.tokenTexts.of(token)),
      token_logprobs: tokens.map(({ logProbability }) => logProbability),
      top_logprobs: this.ranks === 0 ? null : tokens.map((token) => this.#top(token)),
      text_offset: tokens.map(({ token }) => {
        const offset = this.#before + this.#length;
        this.#length += codePoints(this.#texts.push(token));
        return offset;
      }),
    };
    // The prompt's text may have characters that its tokens do not give, such as half of a surrogate pair.
    if (!generated) this.#length = codePoints(text);
    return written;
  }

  #top({ token, logProbability, top }: ChoiceToken): Record<string, number> | null {
    if (logProbability === null) return null;
    // Without a prototype, since a token's text may be __proto__.
    const named = Object.create(null) as Record<string, number>;
    for (const one of [...top, { token, logProbability }]) {
      // Of several tokens with one text, the most probable one comes first.
      named[this.tokenTexts.of(one.token)] ??= one.logProbability;
    }
    return named;
  }
}
