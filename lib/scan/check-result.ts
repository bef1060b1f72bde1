import * as v from "valibot";
import { AttentionBypassError } from "../errors/errors.js";
import { placeOfNonFinite } from "../errors/finite.js";
import { problemOf, reading, share, wholeNumber } from "../errors/validation.js";
import type { ScanResult } from "./result.js";

const count = wholeNumber(0);

const span = { tokenBegin: count, tokenEnd: count, begin: v.optional(count), end: v.optional(count) };

const passageScores = v.looseObject({
  extractionProbability: share,
  samplesToExtract: count,
  exactMatches: count,
  longestRun: count,
  remaining: v.array(v.looseObject(span)),
  tokenProbability: v.array(share),
});

const windowScores = v.looseObject({ extractionProbability: v.array(share) });

const coverage = { passages: count, tokens: count, characters: count };

const schema = v.looseObject({
  summary: v.looseObject({
    documents: count,
    shortDocuments: count,
    tokens: count,
    characters: count,
    windows: count,
    base: v.looseObject({ windows: count, ...coverage }),
    bypasses: v.array(
      v.looseObject({
        all: v.looseObject({ windows: count, ...coverage }),
        remaining: v.looseObject(coverage),
        added: count,
      }),
    ),
  }),
  bypasses: v.array(
    v.looseObject({ name: v.string(), part: v.string(), blocks: v.array(v.number()), mode: v.string() }),
  ),
  passages: v.array(
    v.looseObject({
      ...span,
      document: count,
      bypass: v.optional(count),
      windows: count,
      prefix: v.optional(v.string()),
      text: v.optional(v.string()),
      tokenEnds: v.optional(v.array(count)),
      base: passageScores,
      bypasses: v.array(passageScores),
    }),
  ),
  documents: v.array(
    v.looseObject({
      name: v.string(),
      characters: v.optional(count),
      tokens: count,
      windows: count,
      suffixes: v.looseObject({
        token: v.array(count),
        begin: v.optional(v.array(count)),
        end: v.optional(v.array(count)),
      }),
      base: windowScores,
      bypasses: v.array(windowScores),
    }),
  ),
  settings: v.looseObject({
    prefixLength: wholeNumber(1),
    suffixLength: wholeNumber(1),
    threshold: share,
    device: v.string(),
    dtype: v.string(),
    model: v.looseObject({
      config: v.looseObject({
        family: v.string(),
        blockCount: v.number(),
        headCount: v.number(),
        hiddenSize: v.number(),
      }),
    }),
  }),
  cost: v.looseObject({ seconds: v.number() }),
});

type Parsed = v.InferOutput<typeof schema>;

/** Returns what does not fit together in a result, or undefined. */
function contradiction({ bypasses, summary, passages, documents }: Parsed): string | undefined {
  const complete = (values: readonly unknown[]) => values.length === bypasses.length;
  if (!complete(summary.bypasses)) return "summary.bypasses has another number of bypasses";
  for (const [index, { document, bypass, bypasses: scores, text, tokenEnds, ...passage }] of passages.entries()) {
    const length = passage.tokenEnd - passage.tokenBegin;
    const ends = tokenEnds ?? [];
    const fits =
      document < documents.length &&
      (bypass ?? 0) < Math.max(1, bypasses.length) &&
      complete(scores) &&
      [passage.base, ...scores].every(({ tokenProbability }) => tokenProbability.length === length) &&
      (tokenEnds === undefined || (tokenEnds.length === length && ends.at(-1) === text?.length));
    if (!fits) return `passages[${index}] does not fit the rest`;
  }
  for (const [index, { windows, suffixes, base, ...document }] of documents.entries()) {
    const columns = [suffixes.token, suffixes.begin, suffixes.end, base.extractionProbability].concat(
      document.bypasses.map(({ extractionProbability }) => extractionProbability),
    );
    const fits = complete(document.bypasses) && columns.every((column) => (column?.length ?? windows) === windows);
    if (!fits) return `documents[${index}] has another number of windows or bypasses than the rest`;
  }
  return undefined;
}

/** Returns whether a value looks like the result of a scan. */
export function isScan(value: unknown): boolean {
  return reading("the scan", () => typeof value === "object" && value !== null && "passages" in value);
}

/** Checks and returns a scan's result that comes from outside, such as from a file. Throws SCAN_INVALID. */
export function checkScan(value: unknown, name = "the scan"): ScanResult {
  const invalid = (problem: string) =>
    new AttentionBypassError("SCAN_INVALID", `expected the result of a scan for ${name} but ${problem}`);
  const parsed = reading(name, () => v.safeParse(schema, value, { abortEarly: true }));
  if (!parsed.success) throw invalid(problemOf(parsed.issues[0]));
  const { summary, passages, documents } = parsed.output;
  const place = reading(name, () => placeOfNonFinite({ summary, passages, documents }));
  if (place !== undefined) throw invalid(`${place} is null, NaN or infinite`);
  const problem = reading(name, () => contradiction(parsed.output));
  if (problem !== undefined) throw invalid(problem);
  // The settings are returned unchanged, with fields that the schema does not have.
  return { ...parsed.output, settings: (value as ScanResult).settings } as unknown as ScanResult;
}
