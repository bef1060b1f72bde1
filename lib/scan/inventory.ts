import type { Hash } from "node:crypto";
import { AttentionBypassError } from "../errors/errors.js";
import { textPurpose } from "../files/input-file.js";
import { node } from "../files/node.js";
import type { TokenContext } from "../tokenizer/tokens.js";
import type { ReadDocument } from "./document-file.js";
import { type ListedDocument, readDocuments } from "./documents.js";

/** What is known of a document before it is encoded. */
export interface KnownDocument {
  name: string;
  sha256: string;
  /** The number of characters of a text. */
  characters: number | undefined;
  /** The size for progress: the number of tokens, which for a text is estimated. */
  size: number;
}

/** An estimate for progress. */
export const charactersPerToken = 4;

/** A document that is hashed while it is read. */
export class HashedDocument {
  readonly #hash: Hash = node.crypto.createHash("sha256");
  #characters = 0;

  constructor(private readonly document: ReadDocument) {}

  /** Yields the text of the document. Empty for token ids. */
  async *pieces(): AsyncGenerator<string, void, void> {
    const { content } = this.document;
    if ("tokens" in content) return;
    for await (const piece of content.pieces) {
      this.#hash.update(piece, "utf8");
      this.#characters += piece.length;
      yield piece;
    }
  }

  /** Returns what is known after all pieces have been read. */
  known(): KnownDocument {
    const { name, content } = this.document;
    if (!("tokens" in content)) {
      const characters = this.#characters;
      return { name, sha256: this.#hash.digest("hex"), characters, size: characters / charactersPerToken };
    }
    const { tokens } = content;
    const bytes = Buffer.alloc(4 * tokens.length);
    for (const [index, token] of tokens.entries()) bytes.writeInt32LE(token, 4 * index);
    const sha256 = this.#hash.update(bytes).digest("hex");
    return { name, sha256, characters: undefined, size: tokens.length };
  }
}

/** Reads all documents once, so that a file that cannot be read is found before the work begins. */
export async function takeInventory(
  listed: readonly ListedDocument[],
  context: TokenContext,
  signal: AbortSignal | undefined,
): Promise<KnownDocument[]> {
  const known: KnownDocument[] = [];
  for await (const document of readDocuments(listed, context, signal)) {
    signal?.throwIfAborted();
    const hashed = new HashedDocument(document);
    for await (const _ of hashed.pieces());
    known.push(hashed.known());
  }
  return known;
}

/** The error for a document that is not the one that the inventory has at its place. */
export function changedDocument(name: string): AttentionBypassError {
  return new AttentionBypassError(
    textPurpose.code,
    `expected the documents to be unchanged during the scan but ${name} has changed; scan it again`,
  );
}

/** Returns the SHA-256 of the SHA-256 values of documents. */
export function hashOfAll(known: readonly KnownDocument[]): string {
  const hash = node.crypto.createHash("sha256");
  for (const { sha256 } of known) hash.update(sha256);
  return hash.digest("hex");
}
