import * as v from "valibot";
import { withText } from "../display/text-form.js";
import { validate } from "../errors/validation.js";
import { visible } from "../errors/visible.js";
import { checkScan } from "../scan/check-result.js";
import { bypassLabels } from "../scan/labels.js";
import type { Passage, PassageScores, ScanResult } from "../scan/result.js";
import { sizeOf } from "../scan/spans.js";
import type { ReportPassage, ReportToken } from "./passages.js";
import { describe, type Report, reportText } from "./report.js";
import type { ReportTable } from "./report-table.js";
import { scanHeatMap } from "./scan-heat-map.js";
import { percent } from "./tables.js";

/** Options of `createScanReport`. */
export interface ScanReportOptions {
  /** The name of the model in the report. Defaults to its family. */
  name?: string;
}

const schema = v.strictObject({ name: v.optional(v.pipe(v.string(), v.nonEmpty("a name"))) });

/** The most passages that are shown as text, their most characters, and the most rows of the table. */
const mostPassages = 20;
const mostCharacters = 1200;
const mostRows = 100;
/** The most bypasses that are shown next to the model. */
const mostPanels = 3;

const counted = (count: number) => count.toLocaleString("en-US");
const noun = (count: number, name: string) => `${counted(count)} ${name}${count === 1 ? "" : "s"}`;
const probability = (value: number) =>
  value === 0 ? "0" : value < 1e-4 ? value.toExponential(1) : value.toPrecision(3);

const shortName = (name: string, most = 60) => (name.length > most ? `…${name.slice(1 - most)}` : name);

/** Returns the passages with the largest extraction probability, in the order of the documents. */
function strongest(passages: readonly Passage[], most: number): Passage[] {
  const strength = ({ bypass, base, bypasses }: Passage) =>
    (bypass === undefined ? base : (bypasses[bypass] as PassageScores)).extractionProbability;
  const chosen = new Set([...passages].sort((one, other) => strength(other) - strength(one)).slice(0, most));
  return passages.filter((passage) => chosen.has(passage));
}

function placeOf({ begin, end, tokenBegin, tokenEnd }: Passage): string {
  return begin === undefined
    ? `tokens ${counted(tokenBegin)} to ${counted(tokenEnd)}`
    : `characters ${counted(begin)} to ${counted(end ?? begin)}`;
}

/** Returns text to show: carriage returns are left out, other invisible characters are shown as escapes. */
const shown = (text: string) => visible(text.replaceAll("\r", ""));

/** Returns the tokens of a passage with their text. A character of several tokens has the lowest of their probabilities. */
function tokensOf({ text = "", tokenEnds = [] }: Passage, { tokenProbability }: PassageScores): ReportToken[] {
  const tokens: ReportToken[] = [];
  let begin = 0;
  for (const [index, value] of tokenProbability.entries()) {
    const end = tokenEnds[index] ?? begin;
    const last = tokens.at(-1);
    if (end > mostCharacters && begin > 0) break;
    if (end > begin || last === undefined) tokens.push({ text: shown(text.slice(begin, end)), probability: value });
    else last.probability = Math.min(last.probability, value);
    begin = end;
  }
  return tokens;
}

/** Returns how much of a passage of the unmodified model remains under a bypass. */
function remains({ tokenBegin, tokenEnd, bypass }: Passage, { remaining }: PassageScores, plan: number): string {
  if (plan === 0 || bypass !== undefined) return "";
  const left = sizeOf(remaining).tokens;
  if (left === 0) return ", removed";
  return left === tokenEnd - tokenBegin ? ", remains" : `, ${left} of ${tokenEnd - tokenBegin} tokens remain`;
}

function passageOf(passage: Passage, result: ScanResult, labels: readonly string[]): ReportPassage {
  const { text = "" } = passage;
  const panels = [passage.base, ...passage.bypasses].slice(0, 1 + mostPanels).map((scores, plan) => {
    const tokens = tokensOf(passage, scores);
    const length =
      tokens.length === 0 ? 0 : (passage.tokenEnds?.findLast((end) => end <= mostCharacters) ?? text.length);
    return {
      title: labels[plan] as string,
      note:
        `probability ${probability(scores.extractionProbability)}, longest run ${noun(scores.longestRun, "token")}` +
        remains(passage, scores, plan),
      tokens,
      omitted: text.length > length ? `${noun(text.length - length, "more character")}` : "",
    };
  });
  const name = shortName(result.documents[passage.document]?.name ?? "");
  const only = passage.bypass === undefined ? "" : `, only under ${labels[passage.bypass + 1]}`;
  return { title: `${name}, ${placeOf(passage)}${only}`, prefix: `${shown(passage.prefix ?? "")} …`, panels };
}

function summaryTable({ summary }: ScanResult, labels: readonly string[]): ReportTable {
  const { base, bypasses, characters, tokens } = summary;
  const ofText = characters > 0;
  const size = (part: { characters: number; tokens: number }) => (ofText ? part.characters : part.tokens);
  const unit = ofText ? "characters" : "tokens";
  const share = (part: number, whole: number) => (whole === 0 ? "–" : `${counted(part)} (${percent(part / whole)})`);
  const row = (label: string, all: typeof base, remaining: readonly string[]) => [
    label,
    counted(all.windows),
    counted(all.passages),
    share(size(all), ofText ? characters : tokens),
    ...remaining,
  ];
  return {
    title: "What is found, and what bypasses remove",
    head: [
      "",
      "windows",
      "passages",
      `${unit} covered`,
      "passages left",
      `${unit} left`,
      `${unit} removed`,
      "added passages",
    ],
    rows: [
      row("no bypass", base, ["", "", "", ""]),
      ...bypasses.map(({ all, remaining, added }, index) =>
        row(labels[index + 1] as string, all, [
          share(remaining.passages, base.passages),
          share(size(remaining), size(base)),
          share(size(base) - size(remaining), size(base)),
          counted(added),
        ]),
      ),
    ],
  };
}

function passageTable(result: ScanResult, labels: readonly string[]): ReportTable[] {
  const { passages, documents } = result;
  if (passages.length === 0) return [];
  const rows = strongest(passages, mostRows);
  const of = rows.length < passages.length ? `: the ${rows.length} most probable of ${counted(passages.length)}` : "";
  const excerpt = (text = "") => (text.length > 28 ? `${text.slice(0, 28)}…` : text);
  return [
    {
      title: `Passages${of}`,
      head: ["document", "characters", "tokens", "samples", "exact", ...labels, "text"],
      rows: rows.map((passage) => [
        shortName(documents[passage.document]?.name ?? "", 32),
        passage.begin === undefined
          ? `tokens ${passage.tokenBegin}–${passage.tokenEnd}`
          : `${passage.begin}–${passage.end}`,
        counted(passage.tokenEnd - passage.tokenBegin),
        passage.base.samplesToExtract === Number.MAX_SAFE_INTEGER ? "–" : counted(passage.base.samplesToExtract),
        `${passage.base.exactMatches} of ${passage.windows}`,
        ...[passage.base, ...passage.bypasses].map((scores) => probability(scores.extractionProbability)),
        shown(excerpt(passage.text)).replace(/\s+/g, " "),
      ]),
    },
  ];
}

function findings({ summary, settings, bypasses }: ScanResult, labels: readonly string[]): string[] {
  const { base, characters, tokens, shortDocuments } = summary;
  const ofText = characters > 0;
  const size = (part: { characters: number; tokens: number }) => (ofText ? part.characters : part.tokens);
  const unit = ofText ? "character" : "token";
  const { prefixLength, suffixLength, threshold } = settings;
  const short =
    shortDocuments === 0
      ? []
      : [
          `${noun(shortDocuments, "document")} shorter than ${prefixLength + suffixLength} tokens could not be scanned.`,
        ];
  const model =
    base.passages === 0
      ? `The unmodified model generates no suffix of ${suffixLength} tokens with a probability of ${threshold} or more.`
      : `The unmodified model gives away ${noun(base.passages, "passage")} with ${noun(size(base), unit)}, ` +
        `${percent(size(base) / (ofText ? characters : tokens))} of the ${unit}s: each is covered by suffixes of ${suffixLength} ` +
        `tokens that one sample equals with a probability of ${threshold} or more.`;
  const effects = summary.bypasses.map(({ remaining, added }, index) => {
    const { part, mode } = bypasses[index] ?? { part: "attention", mode: "zero" };
    const what = part === "both" ? "attention and MLP" : part === "mlp" ? "the MLP" : "attention";
    const name = labels[index + 1]?.replace(/ (MLP|attention and MLP)$/, "");
    const more = added === 0 ? "" : ` It has ${noun(added, "passage")} that the unmodified model does not have.`;
    const left =
      base.passages === 0
        ? ""
        : ` leaves ${counted(remaining.passages)} of ${noun(base.passages, "passage")} and ` +
          `${percent(size(remaining) / size(base))} of their ${unit}s.`;
    return left === "" && more === ""
      ? ""
      : `Bypassing ${what} of ${name} (${mode})${left || " adds passages."}${more}`;
  });
  return [model, ...effects.filter((sentence) => sentence !== ""), ...short];
}

/**
 * Creates a report from the result of a scan: what the model gives away and what each bypass removes, a heat map over the
 * documents, and passages with their tokens coloured by probability, without and with the bypasses. Shows at most 8
 * documents in the heat map, and the 20 most probable passages as text, next to at most 3 bypasses; the tables contain
 * 100 passages and all bypasses. Throws INVALID_ARGUMENT, SCAN_INVALID.
 */
export function createScanReport(result: ScanResult, options: ScanReportOptions = {}): Report {
  const { name } = validate(schema, options, "options");
  const checked = checkScan(result);
  const modelName = name ?? checked.settings.model.config.family;
  const labels = ["no bypass", ...bypassLabels(checked.bypasses)];
  const { summary, settings, cost } = checked;
  const readable = checked.passages.filter(({ text, tokenEnds }) => text !== undefined && tokenEnds !== undefined);
  const chosen = strongest(readable, mostPassages);
  const left = checked.passages.length - chosen.length;
  const hidden = labels.length - 1 - mostPanels;
  return withText(
    {
      title: `What ${modelName} gives away of ${noun(summary.documents, "document")}`,
      description:
        `${describe({ settings })}; ${noun(summary.windows, "window")} of ${settings.prefixLength} + ` +
        `${settings.suffixLength} tokens; scan took ${cost.seconds.toFixed(0)} s`,
      findings: findings(checked, labels),
      figures: scanHeatMap(checked),
      ...(chosen.length > 0 && {
        passages: {
          caption:
            "Each token is coloured by its probability given the true tokens before it: the largest over the windows of the " +
            "passage. The grey text is the prefix of the first window." +
            (left > 0
              ? ` Shows the ${chosen.length} most probable passages with text, and leaves out ${counted(left)}.`
              : "") +
            (hidden > 0 ? ` Shows the first ${mostPanels} bypasses, and leaves out ${hidden}.` : ""),
          list: chosen.map((passage) => passageOf(passage, checked, labels)),
        },
      }),
      tables: [summaryTable(checked, labels), ...passageTable(checked, labels)],
      settings: { [modelName]: { ...settings, cost } },
    },
    reportText,
  );
}
