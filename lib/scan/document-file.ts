import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import * as v from "valibot";
import { readRows } from "../data/rows.js";
import { AttentionBypassError } from "../errors/errors.js";
import { describe } from "../errors/validation.js";
import { fileKind } from "../files/file-kind.js";
import { InputFile, textPurpose } from "../files/input-file.js";
import { textBytes } from "../files/lines.js";
import { decodeUtf8Chunks, NotUtf8Error, toUtf8 } from "../files/utf8.js";
import { type TokenContext, toTokenIds } from "../tokenizer/tokens.js";

/** A document as it is read: its token ids, or its text in pieces. */
export type DocumentContent =
  | { tokens: Int32Array }
  | {
      pieces: AsyncIterable<string>;
      /** Whether the text is that of a file, in which a byte order mark at the beginning is not a part of it. */
      ofFile: boolean;
    };

/** A document with its name. */
export interface ReadDocument {
  name: string;
  content: DocumentContent;
}

const rowFile = /\.(?:jsonl|ndjson)(?:\.(?:gz|zst))?$/i;
const documentFile = /\.(?:(?:txt|jsonl|ndjson)(?:\.(?:gz|zst))?|parquet)$/i;

const row = v.looseObject({ text: v.union([v.string(), v.array(v.number())]) });

async function* textOf(file: InputFile, signal: AbortSignal | undefined): AsyncGenerator<string, void, void> {
  try {
    for await (const piece of decodeUtf8Chunks(await textBytes(file))) {
      signal?.throwIfAborted();
      yield piece;
    }
  } catch (error) {
    throw error instanceof NotUtf8Error ? file.refuse(error.message, toUtf8) : error;
  }
}

/** Yields one text. */
export async function* once(text: string): AsyncGenerator<string, void, void> {
  yield text;
}

function contentOf(value: unknown, name: string, context: TokenContext): DocumentContent {
  const parsed = v.safeParse(row, value);
  if (!parsed.success) {
    throw new AttentionBypassError(
      textPurpose.code,
      `expected { text } with text or token ids for ${name} but received ${describe(value)}`,
    );
  }
  const { text } = parsed.output;
  if (typeof text === "string") return { pieces: once(text), ofFile: false };
  return { tokens: toTokenIds(text, context.config, name) };
}

async function* readOne(
  place: string,
  context: TokenContext,
  signal: AbortSignal | undefined,
): AsyncGenerator<ReadDocument, void, void> {
  await using file = await InputFile.open(place, textPurpose);
  if (rowFile.test(place) || (await fileKind(file)) === "parquet") {
    for await (const { name, value } of readRows(file, undefined, signal)) {
      yield { name, content: contentOf(value, name, context) };
    }
    return;
  }
  yield { name: place, content: { pieces: textOf(file, signal), ofFile: true } };
}

/** Yields the documents of a file, or of the files of a folder. Throws FILE_NOT_FOUND, SAMPLES_INVALID. */
export async function* readDocumentFile(
  place: string,
  context: TokenContext,
  signal: AbortSignal | undefined,
): AsyncGenerator<ReadDocument, void, void> {
  const isFolder = await stat(place).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) return yield* readOne(place, context, signal);
  const names = (await readdir(place)).filter((name) => documentFile.test(name) && !name.startsWith(".")).sort();
  if (names.length === 0) {
    throw new AttentionBypassError(
      textPurpose.code,
      `expected documents in ${place} but the folder has no .txt, .jsonl, .ndjson or .parquet file; give the path of a file`,
    );
  }
  for (const name of names) yield* readOne(path.join(place, name), context, signal);
}
