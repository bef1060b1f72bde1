/** A step that divides text into words. */
export interface LibraryPreTokenizer {
  pre_tokenize(text: string, options: { section_index: number }): string[];
  pattern?: RegExp;
  /** Of a sequence. */
  tokenizers?: LibraryPreTokenizer[];
}

/** The steps that Hugging Face's tokenizer is made of. */
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

/** What is needed of Hugging Face's library, whose own types not every way of resolving modules finds. */
export interface Library {
  Tokenizer: new (json: object, config: object) => LibraryTokenizer;
}

/** Loaded with the first tokenizer, so that importing this package is quick. */
export async function loadLibrary(): Promise<Library> {
  return (await import("@huggingface/tokenizers")) as unknown as Library;
}
