/** A step that divides text into words. */
export interface LibraryPreTokenizer {
  pre_tokenize(text: string, options: { section_index: number }): string[];
  pattern?: RegExp;
  /** The steps of a sequence. */
  tokenizers?: LibraryPreTokenizer[];
}

/** The steps of a tokenizer in Hugging Face's library. */
export interface LibraryTokenizer {
  normalizer: { normalize(text: string): string } | null;
  pre_tokenizer: LibraryPreTokenizer | null;
  model: {
    (words: string[]): string[];
    vocab: (string | undefined)[];
    tokens_to_ids: Map<string, number>;
    unk_token_id: number | undefined;
  };
  decoder: { decode(tokens: string[]): string } | null;
}

/** The part of Hugging Face's library that is used. Its own types are not found with every module resolution mode. */
export interface Library {
  Tokenizer: new (json: object, config: object) => LibraryTokenizer;
}

/** Loads the library when it is first used, so that importing this package is fast. */
export async function loadLibrary(): Promise<Library> {
  return (await import("@huggingface/tokenizers")) as unknown as Library;
}
