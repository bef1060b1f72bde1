import { setImmediate } from "node:timers/promises";
import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { describe, invalidArgument, longCall, reading, validate } from "../errors/validation.js";
import type { ChatTemplate } from "./chat-template.js";
import { EncodingThread } from "./encoding-thread.js";
import { loadLibrary } from "./library.js";
import { Pipeline } from "./pipeline.js";
import type { TokenSpans } from "./token-spans.js";
import { checkTokenizerJson, type TokenizerJson } from "./tokenizer-json.js";
import { withinTime } from "./within-time.js";

/** Text up to this many characters is encoded on the calling thread, which takes a few milliseconds. */
const shortText = 10_000;
/** The characters of short texts that are encoded before the event loop gets a turn. */
const charactersPerTurn = 100_000;
const highestToken = 2 ** 31 - 1;

const encodeOptions = v.strictObject({ signal: longCall.signal });

/** Converts text to token ids and back. It adds no special tokens. */
export class Tokenizer {
  readonly #pipeline: Pipeline;
  readonly #thread: EncodingThread;
  #charactersOfTurn = 0;
  /** @internal The chat template of the tokenizer's files. */
  readonly chatTemplate: ChatTemplate | undefined;

  /** @internal Use `createTokenizer`. */
  constructor(
    pipeline: Pipeline,
    json: TokenizerJson,
    /** The name used in error messages. */
    readonly name: string,
  ) {
    this.#pipeline = pipeline;
    this.#thread = new EncodingThread(json, name);
    this.chatTemplate = json.chat_template;
  }

  /**
   * Returns the token ids of a text, without added special tokens. Runs on the calling thread, even for long text; use
   * `encodeAsync` to encode long text on another thread. Throws INVALID_ARGUMENT, TOKENIZER_INVALID.
   */
  encode(text: string): number[] {
    if (typeof text !== "string") throw invalidArgument("text", "text", text);
    return this.#run("encode text", () => this.#pipeline.encode(text));
  }

  /**
   * Resolves with the same token ids as `encode`. Long text is encoded on another thread. If `options.signal` is
   * aborted, encoding ends and the call rejects with the signal's reason. Throws INVALID_ARGUMENT, TOKENIZER_INVALID,
   * OUT_OF_MEMORY.
   */
  async encodeAsync(text: string, options: { signal?: AbortSignal | undefined } = {}): Promise<ArrayLike<number>> {
    if (typeof text !== "string") throw invalidArgument("text", "text", text);
    const { signal } = validate(encodeOptions, options, "options");
    signal?.throwIfAborted();
    if (!this.#pipeline.bounded || text.length > shortText) return this.#thread.encode(text, signal);
    this.#charactersOfTurn += text.length;
    if (this.#charactersOfTurn > charactersPerTurn) {
      this.#charactersOfTurn = 0;
      await setImmediate();
      signal?.throwIfAborted();
    }
    return this.encode(text);
  }

  /** @internal Returns the smallest number of tokens that a text of this many characters can have. */
  fewestTokens(characters: number): number {
    if (typeof characters !== "number") throw invalidArgument("characters", "a number", characters);
    return Math.ceil(characters / this.#pipeline.charactersPerToken);
  }

  /** @internal Whether the tokens of a text are those of its parts if it is divided at `nextDivision`. */
  get divides(): boolean {
    return this.#pipeline.divides;
  }

  /** @internal Returns the characters that the tokens of a text stand for, or undefined if they are not known. */
  spans(text: string, tokens: ArrayLike<number>): TokenSpans | undefined {
    if (typeof text !== "string") throw invalidArgument("text", "text", text);
    return this.#pipeline.spans(text, toIds(tokens));
  }

  /**
   * Returns the text of token ids. Bytes that are not a complete character become U+FFFD; ids without a token are left
   * out. Throws INVALID_ARGUMENT, TOKEN_OUT_OF_RANGE, TOKENIZER_INVALID.
   */
  decode(tokens: ArrayLike<number>): string {
    const ids = toIds(tokens);
    return this.#run("decode tokens", () => this.#pipeline.decode(ids));
  }

  /** @internal Returns the bytes of a token's text in UTF-8. They may be a part of a character. */
  bytesOf(token: number): Uint8Array {
    return this.#run("decode tokens", () => this.#pipeline.bytesOf(token));
  }

  /** Runs work of the pipeline, with a time limit if the tokenizer's own patterns could run without end. */
  #run<Value>(what: string, work: () => Value): Value {
    try {
      return this.#pipeline.bounded ? work() : withinTime(work);
    } catch (error) {
      throw new AttentionBypassError(
        "TOKENIZER_INVALID",
        `expected the tokenizer of ${this.name} to ${what} but ${(error as Error).message}`,
        { cause: error },
      );
    }
  }
}

/** Returns token ids as an array. Throws INVALID_ARGUMENT, TOKEN_OUT_OF_RANGE. */
function toIds(given: unknown): number[] {
  return reading("tokens", () => {
    if (!Array.isArray(given) && (!ArrayBuffer.isView(given) || given instanceof DataView)) {
      throw invalidArgument("tokens", "an array of token ids", given);
    }
    const values = given as unknown as ArrayLike<unknown>;
    const read: number[] = [];
    for (let position = 0; position < values.length; position++) {
      const value = values[position];
      const id = typeof value === "bigint" ? Number(value) : value;
      if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > highestToken) {
        throw new AttentionBypassError(
          "TOKEN_OUT_OF_RANGE",
          `expected token ids from 0 to ${highestToken} for tokens but received ${describe(value)} at position ${position}`,
        );
      }
      read.push(id);
    }
    return read;
  });
}

/**
 * Creates a tokenizer from the content of a tokenizer.json. `name` is the name used in error messages. Throws
 * TOKENIZER_INVALID.
 */
export async function createTokenizer(json: object, name: string): Promise<Tokenizer> {
  const checked = checkTokenizerJson(json, name);
  const library = await loadLibrary();
  try {
    return new Tokenizer(new Pipeline(library, checked, name), checked, name);
  } catch (error) {
    if (error instanceof AttentionBypassError) throw error;
    throw new AttentionBypassError(
      "TOKENIZER_INVALID",
      `expected a supported tokenizer in ${name} but ${(error as Error).message}`,
      { cause: error },
    );
  }
}
