import { types } from "node:util";
import * as v from "valibot";
import { isPath } from "../data/text-argument.js";
import { invalidArgument, pathText, reading, validate } from "../errors/validation.js";
import { isTypedTokens, requireTokenizer, type TokenContext, type Tokens, toTokenIds } from "../tokenizer/tokens.js";
import { once, type ReadDocument, readDocumentFile } from "./document-file.js";

/** Documents that are read from a file or a folder. */
export interface DocumentFile {
  /**
   * The path of a file, plain or compressed with gzip or zstd, or of a folder. A file is one document of UTF-8 text; or,
   * if its name ends in .jsonl or .ndjson (or that and .gz or .zst) or if it is Parquet, each row is a document, with the
   * text or the token ids in the field `text`. The .txt, .jsonl, .ndjson and .parquet files of a folder are read in the order
   * of their names.
   */
  file: string;
}

/** A document with a name for the result. */
export interface NamedDocument {
  /** The name of the document. */
  name: string;
  /** The text of the document, or its token ids. */
  text: string | Tokens;
}

/** A document: text, token ids, text or ids with a name, or the path of a file or folder. Text requires a tokenizer. */
export type ScanDocument = string | Tokens | NamedDocument | DocumentFile;

/** The documents of a scan: one, or an array of several. */
export type ScanDocuments = ScanDocument | readonly ScanDocument[];

/** An argument that has been checked. */
export type ListedDocument = { name: string; text: string } | { name: string; tokens: Int32Array } | { file: string };

const named = v.strictObject({
  name: v.pipe(v.string(), v.nonEmpty("a name")),
  text: v.union([v.string(), v.array(v.number()), v.custom<Int32Array | BigInt64Array>(isTypedTokens)]),
});
const file = v.strictObject({ file: pathText });

const isIds = (value: unknown) =>
  types.isTypedArray(value) || (Array.isArray(value) && ["number", "bigint"].includes(typeof value[0]));

async function toListed(value: unknown, place: string, name: string, context: TokenContext): Promise<ListedDocument> {
  if (typeof value === "string") {
    if (await isPath(value)) {
      throw invalidArgument(place, "{ file } to read the file, or { name, text } to scan the path itself,", value);
    }
    requireTokenizer(context.tokenizer, place);
    return { name, text: value };
  }
  if (reading(place, () => isIds(value))) {
    return { name, tokens: toTokenIds(value as ArrayLike<number | bigint>, context.config, place) };
  }
  if (typeof value !== "object" || value === null || reading(place, () => Array.isArray(value))) {
    throw invalidArgument(place, "text, token ids, { file } or { name, text }", value);
  }
  if (reading(place, () => "file" in value)) {
    requireTokenizer(context.tokenizer, place);
    return validate(file, value, place);
  }
  const given = validate(named, value, place);
  if (typeof given.text !== "string") {
    return { name: given.name, tokens: toTokenIds(given.text, context.config, `${place}.text`) };
  }
  requireTokenizer(context.tokenizer, `${place}.text`);
  return { name: given.name, text: given.text };
}

/**
 * Checks the documents of a call, without reading files. Throws INVALID_ARGUMENT, TOKEN_OUT_OF_RANGE,
 * TOKENIZER_MISSING.
 */
export async function checkDocuments(documents: unknown, context: TokenContext): Promise<ListedDocument[]> {
  const several = reading("documents", () => Array.isArray(documents) && !isIds(documents));
  if (!several) return [await toListed(documents, "documents", "document", context)];
  const list = documents as readonly unknown[];
  const count = reading("documents", () => list.length);
  if (count === 0) throw invalidArgument("documents", "at least one document", documents);
  const listed: ListedDocument[] = [];
  // Not `map`, which skips the holes of a sparse array.
  for (let index = 0; index < count; index++) {
    const place = `documents[${index}]`;
    const value = reading(place, () => list[index]);
    listed.push(await toListed(value, place, `document ${index}`, context));
  }
  return listed;
}

/** Yields the documents one after the other. The text of a document must be read before the next one. */
export async function* readDocuments(
  listed: readonly ListedDocument[],
  context: TokenContext,
  signal: AbortSignal | undefined,
): AsyncGenerator<ReadDocument, void, void> {
  for (const one of listed) {
    if ("file" in one) yield* readDocumentFile(one.file, context, signal);
    else if ("tokens" in one) yield { name: one.name, content: { tokens: one.tokens } };
    else yield { name: one.name, content: { pieces: once(one.text), ofFile: false } };
  }
}
