import { bypassLabels } from "../scan/labels.js";
import type { Passage, ScannedDocument, ScanResult, Span, WindowScores } from "../scan/result.js";
import type { Figure } from "./figure.js";
import { probabilityClasses } from "./passages.js";

/** The largest number of documents in the figure, and of positions in a row. */
const mostDocuments = 8;
const mostPositions = 180;
/** Smaller probabilities have the same colour. */
const least = 1e-12;

/** Returns where a suffix or passage begins and ends: in characters, or in tokens if the document is token ids. */
const placeOf = ({ begin, end, tokenBegin, tokenEnd }: Span): [number, number] =>
  begin === undefined || end === undefined ? [tokenBegin, tokenEnd] : [begin, end];

/** Returns the largest extraction probability of the suffixes at each position of a document. */
function cells(
  { suffixes, windows, ...document }: ScannedDocument,
  { extractionProbability }: WindowScores,
  length: number,
  suffixLength: number,
) {
  const width = length / Math.min(mostPositions, length);
  const values: (number | undefined)[] = [];
  for (let window = 0; window < windows; window++) {
    const token = suffixes.token[window] as number;
    const ofText = document.characters !== undefined;
    const begin = ofText ? (suffixes.begin?.[window] as number) : token;
    const end = ofText ? (suffixes.end?.[window] as number) : token + suffixLength;
    for (let cell = Math.floor(begin / width); cell * width < end; cell++) {
      values[cell] = Math.max(values[cell] ?? 0, extractionProbability[window] as number);
    }
  }
  // Cells reach under the next one, since antialiasing would leave gaps between them.
  const overlap = (cell: number) => (values[cell + 1] === undefined ? 1 : 1.3);
  return Array.from(values, (value, cell) => ({
    from: cell * width,
    to: Math.min(length, (cell + overlap(cell)) * width),
    value,
  }))
    .filter(({ value }) => value !== undefined)
    .map(({ value = 0, ...cell }) => ({ ...cell, probability: Math.max(least, value) }));
}

const shortName = (name: string) => (name.length > 90 ? `…${name.slice(-89)}` : name);

function panel(result: ScanResult, index: number, labels: readonly string[]) {
  const document = result.documents[index] as ScannedDocument;
  const length = document.characters ?? document.tokens;
  const { suffixLength } = result.settings;
  const rows = [document.base, ...document.bypasses];
  const own = result.passages.filter((passage) => passage.document === index);
  const spansOf = (plan: number): Span[] =>
    own.flatMap((passage: Passage) => {
      const isOwn = passage.bypass === (plan === 0 ? undefined : plan - 1);
      return isOwn ? [passage] : plan === 0 ? [] : (passage.bypasses[plan - 1]?.remaining ?? []);
    });
  const x = {
    field: "from",
    type: "quantitative",
    title: document.characters === undefined ? "token" : "character",
    scale: { domain: [0, length], nice: false },
    axis: { grid: false, tickCount: 8 },
  };
  const y = { field: "row", type: "nominal", sort: labels, title: null, axis: { domain: false, ticks: false } };
  const position = { x, x2: { field: "to" }, y };
  return {
    title: { text: shortName(document.name), anchor: "start", fontSize: 12, fontWeight: "normal" },
    width: 640,
    height: { step: 26 },
    layer: [
      {
        data: { values: labels.map((row) => ({ row, from: 0, to: length })) },
        mark: { type: "rect", color: "#dddddd", height: 14 },
        encoding: position,
      },
      {
        data: {
          values: rows.flatMap((scores, row) =>
            cells(document, scores, length, suffixLength).map((cell) => ({ row: labels[row], ...cell })),
          ),
        },
        mark: { type: "rect", height: 14 },
        encoding: {
          ...position,
          color: {
            field: "probability",
            type: "quantitative",
            title: "extraction probability",
            scale: {
              type: "log",
              domain: [least, 1],
              range: [...probabilityClasses].reverse().map(({ background }) => background),
              interpolate: "rgb",
            },
            legend: {
              values: [1e-12, 1e-9, 1e-6, 1e-3, 1],
              labelExpr: "datum.value === 1 ? '1' : datum.value < 2e-12 ? '≤ 1e-12' : format(datum.value, '.0e')",
              titleLimit: 0,
              gradientLength: 240,
              gradientStrokeColor: "#999",
            },
          },
        },
      },
      {
        data: {
          values: labels.flatMap((row, plan) =>
            spansOf(plan).map((span) => ({ row, from: placeOf(span)[0], to: placeOf(span)[1] })),
          ),
        },
        mark: { type: "rule", color: "#000000", strokeWidth: 2, yOffset: 10 },
        encoding: position,
      },
    ],
  };
}

/** Returns a heat map over each document. Shows the documents with the most tokens in passages. */
export function scanHeatMap(result: ScanResult): Figure[] {
  const found = new Map<number, number>();
  for (const { document, tokenBegin, tokenEnd } of result.passages) {
    found.set(document, (found.get(document) ?? 0) + tokenEnd - tokenBegin);
  }
  const scored = [...result.documents.keys()].filter((index) => (result.documents[index]?.windows ?? 0) > 0);
  const shown = scored
    .sort((one, other) => (found.get(other) ?? 0) - (found.get(one) ?? 0) || one - other)
    .slice(0, mostDocuments)
    .sort((one, other) => one - other);
  if (shown.length === 0) return [];
  const labels = ["no bypass", ...bypassLabels(result.bypasses)];
  const left = result.documents.length - shown.length;
  const { threshold } = result.settings;
  return [
    {
      name: "heat-map",
      title: "Extraction probability over the documents",
      caption:
        "The largest probability that a sample from the preceding tokens is the suffix of a window at this position. Black " +
        `lines mark passages, where it is at least ${threshold}. Grey positions are in no suffix, such as the first prefix.` +
        (left > 0
          ? ` Shows the ${shown.length} documents with the most tokens in passages, and leaves out ${left}.`
          : ""),
      spec: { vconcat: shown.map((index) => panel(result, index, labels)), spacing: 14 },
    },
  ];
}
