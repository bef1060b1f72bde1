import { type Bypass, plainPlan } from "../bypass/bypass.js";
import { AttentionBypassError } from "../errors/errors.js";
import { validate } from "../errors/validation.js";
import { complete, type OperationOptions, part, rising } from "../operation/operation.js";
import { modelSettings } from "../scoring/model-settings.js";
import { scoreRows } from "../scoring/rescoring.js";
import { defaultMemory } from "../session/memory-budget.js";
import type { Session } from "../session/session.js";
import { requireContext } from "../tokenizer/tokens.js";
import { bypassSettings, toBypasses } from "./bypasses.js";
import type { DocumentScan } from "./document-scan.js";
import { checkDocuments, type ScanDocuments } from "./documents.js";
import { FinishedWindows } from "./finished-windows.js";
import { hashOfAll, takeInventory } from "./inventory.js";
import { type ScanOptions, scanOptions } from "./options.js";
import { type DocumentWindow, readWindows, requireCharacters } from "./read-windows.js";
import type { ScanResult, ScanSettings } from "./result.js";
import { type ScoredSuffix, toSuffixScores } from "./suffix-scores.js";
import { summarize } from "./summary.js";

/** The number of windows that are scored together, and saved together in the resume file. */
const batchLength = 256;

async function* inBatches<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item[], void, void> {
  let batch: Item[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < batchLength) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Throws INVALID_ARGUMENT if no document has a window. */
function requireWindow(scans: readonly DocumentScan[], length: number): void {
  if (scans.some(({ windows }) => windows > 0)) return;
  const longest = scans.reduce((most, { tokens }) => Math.max(most, tokens), 0);
  throw new AttentionBypassError(
    "INVALID_ARGUMENT",
    `expected a document of at least ${length} tokens, prefixLength and suffixLength together, but the longest of ` +
      `${scans.length} has ${longest}; scan longer documents, or make the windows shorter`,
  );
}

/**
 * Slides a window over documents. Scores the suffix of each window under the unmodified model and each bypass, all in
 * one forward pass, and merges the windows with a high extraction probability into passages.
 */
export async function scan(session: Session, documents: ScanDocuments, options: ScanOptions = {}): Promise<ScanResult> {
  const began = performance.now();
  const checked = validate(scanOptions, options, "options");
  const { config, tokenizer } = session;
  const { prefixLength, suffixLength, stride, temperature, topK, threshold, signal } = checked;
  requireContext(prefixLength + suffixLength, config, "prefixLength and suffixLength together");
  const given = checked.bypasses as Bypass[];
  const bypasses = toBypasses(given, config);
  const plans = [plainPlan(config), ...bypasses.map(({ plan }) => plan)];
  const shape = { suffixLength, topK, threshold, plans: plans.length };
  const listed = await checkDocuments(documents, session);
  const known = await takeInventory(listed, session, signal);
  requireCharacters(known, checked);
  const settings: ScanSettings = {
    prefixLength,
    suffixLength,
    stride,
    ...bypassSettings(given, config),
    temperature,
    ...(topK !== undefined && { topK }),
    threshold,
    documents: { count: known.length, sha256: hashOfAll(known) },
    ...(await modelSettings(session, signal)),
  };
  signal?.throwIfAborted();

  const memory = { requested: checked.memory, default: defaultMemory(session) };
  const file =
    checked.resume === undefined
      ? undefined
      : await FinishedWindows.open(checked.resume, { ...settings }, memory, shape);
  try {
    const budget = file?.memory ?? memory.requested ?? memory.default;
    const before = file?.seconds ?? 0;
    let operations = file?.operations ?? 0;
    const operation = rising(checked);
    const scoreBatch = async (
      batch: readonly DocumentWindow[],
      progress: OperationOptions,
    ): Promise<ScoredSuffix[]> => {
      const start = performance.now();
      const done = operations;
      const rows = batch.map(({ window }) => ({
        tokens: window.tokens,
        first: prefixLength,
        decode: false,
        rescore: true,
      }));
      const scores = await scoreRows(session, rows, plans, {
        ...progress,
        scheme: { temperature, topK: topK ?? 0 },
        memory: budget,
        tokens: true,
        onOperations: (count) => {
          operations += count;
        },
      });
      const scored = scores.map((row) => row.map(toSuffixScores));
      await file?.add(scored, { operations: operations - done, seconds: (performance.now() - start) / 1000 });
      return scored;
    };

    const scans: DocumentScan[] = [];
    const total = known.reduce((sum, { size }) => sum + size, 0);
    let from = 0;
    for await (const batch of inBatches(readWindows(listed, known, scans, checked, shape, session, signal))) {
      const to = Math.min(1, (batch.at(-1) as DocumentWindow).reached / total);
      const scored = file?.next(batch.length) ?? (await scoreBatch(batch, part(operation, from, to)));
      for (const [index, { scan, window }] of batch.entries()) scan.add(window, scored[index] as ScoredSuffix);
      from = to;
    }
    requireWindow(scans, prefixLength + suffixLength);
    await complete(operation);

    let windows = 0;
    const firstWindows = scans.map((scan) => {
      windows += scan.windows;
      return windows - scan.windows;
    });
    const passages = scans.flatMap((scan, index) => scan.toPassages(index, tokenizer));
    return {
      summary: summarize(scans, passages, bypasses.length),
      bypasses: bypasses.map(({ bypass }) => bypass),
      passages,
      documents: scans.map((scan, index) => scan.toDocument(firstWindows[index] as number)),
      settings,
      cost: {
        seconds: before + (performance.now() - began) / 1000,
        operations,
        memory: budget,
        node: process.version,
      },
    };
  } finally {
    await file?.close();
  }
}
