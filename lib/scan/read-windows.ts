import { invalidArgument } from "../errors/validation.js";
import type { TokenContext } from "../tokenizer/tokens.js";
import { DocumentScan, type ScanShape } from "./document-scan.js";
import { type ListedDocument, readDocuments } from "./documents.js";
import { changedDocument, charactersPerToken, HashedDocument, type KnownDocument } from "./inventory.js";
import { encodeDocument, type Stretch } from "./stretches.js";
import { type Window, type WindowSettings, windowsOf } from "./windows.js";

/** A window of a document. */
export interface DocumentWindow {
  scan: DocumentScan;
  window: Window;
  /** The size of the documents up to the end of the window, for progress. */
  reached: number;
}

/** Throws INVALID_ARGUMENT if windows begin at characters and a document has only token ids. */
export function requireCharacters(known: readonly KnownDocument[], { stride }: WindowSettings): void {
  const ids = known.find(({ characters }) => characters === undefined);
  if (typeof stride === "number" || ids === undefined) return;
  throw invalidArgument("options.stride", `a number of tokens, since ${ids.name} has token ids,`, stride);
}

/** Counts the tokens of a document while its stretches are read. */
async function* counted(stretches: AsyncIterable<Stretch>, scan: DocumentScan): AsyncGenerator<Stretch, void, void> {
  for await (const stretch of stretches) {
    scan.tokens = stretch.first + stretch.tokens.length;
    yield stretch;
  }
}

/** Reads the documents again and yields their windows in order. Adds the scan of each document to `scans`. */
export async function* readWindows(
  listed: readonly ListedDocument[],
  known: readonly KnownDocument[],
  scans: DocumentScan[],
  settings: WindowSettings,
  shape: ScanShape,
  context: TokenContext,
  signal: AbortSignal | undefined,
): AsyncGenerator<DocumentWindow, void, void> {
  let before = 0;
  for await (const document of readDocuments(listed, context, signal)) {
    const here = known[scans.length];
    if (here?.name !== document.name) throw changedDocument(document.name);
    const scan = new DocumentScan(here, shape);
    scans.push(scan);
    const hashed = new HashedDocument(document);
    const stretches = counted(encodeDocument(document, hashed.pieces(), context, signal), scan);
    for await (const window of windowsOf(stretches, settings)) {
      const end = window.characters ? window.characters.end / charactersPerToken : window.token;
      yield { scan, window, reached: before + end };
    }
    if (hashed.known().sha256 !== here.sha256) throw changedDocument(here.name);
    before += here.size;
  }
  const missing = known[scans.length];
  if (missing !== undefined) throw changedDocument(missing.name);
}
