import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Passage, PassageScores, Span } from "./result.js";
import { extractionProbability, type ScoredSuffix, type SuffixScores, samplesOf } from "./suffix-scores.js";
import type { Window } from "./windows.js";

/** Returns a copy of a text. A part of a string keeps the whole string in memory. */
const copyOf = (text: string): string => Buffer.from(text, "utf16le").toString("utf16le");

/** The scores of a passage under one plan, over the windows so far. */
class PlanScores {
  #probability = 0;
  #exactMatches = 0;
  #longestRun = 0;
  /** The largest log-probability of each token. */
  readonly #tokens: number[] = [];

  /** Adds a window whose suffix begins at an index in the passage. */
  add(scores: SuffixScores, at: number): void {
    this.#probability = Math.max(this.#probability, extractionProbability(scores));
    this.#longestRun = Math.max(this.#longestRun, scores.longestRun);
    if (scores.longestRun === scores.tokens.length) this.#exactMatches++;
    for (const [index, value] of scores.tokens.entries()) {
      this.#tokens[at + index] = Math.max(this.#tokens[at + index] ?? Number.NEGATIVE_INFINITY, value);
    }
  }

  finish(remaining: Span[]): PassageScores {
    return {
      extractionProbability: this.#probability,
      samplesToExtract: samplesOf(this.#probability),
      exactMatches: this.#exactMatches,
      longestRun: this.#longestRun,
      remaining,
      // Six digits, since these are most of the numbers of a result.
      tokenProbability: this.#tokens.map((value) => Number(Math.min(1, Math.exp(value)).toPrecision(6))),
    };
  }
}

/** A passage to which windows are added. */
export class OpenPassage {
  readonly #tokenBegin: number;
  readonly #begin: number | undefined;
  #end: number | undefined;
  #windows = 0;
  readonly #prefixText: string | undefined;
  readonly #prefixTokens: Int32Array;
  readonly #tokens: number[] = [];
  readonly #pieces: string[] = [];
  readonly #ends: number[] = [];
  readonly #plans: PlanScores[];

  /** Begins with the suffix of a window. */
  constructor(window: Window, plans: number) {
    this.#tokenBegin = window.token;
    this.#begin = this.#end = window.characters?.begin;
    this.#prefixText = window.prefixText === undefined ? undefined : copyOf(window.prefixText);
    this.#prefixTokens = window.prefixTokens.slice();
    this.#plans = Array.from({ length: plans }, () => new PlanScores());
  }

  /** Where the windows so far are. */
  get span(): Span {
    return {
      tokenBegin: this.#tokenBegin,
      tokenEnd: this.#tokenBegin + this.#tokens.length,
      ...(this.#begin !== undefined && { begin: this.#begin }),
      ...(this.#end !== undefined && { end: this.#end }),
    };
  }

  /** Returns whether the suffix of a later window overlaps the passage or follows it at once. */
  reaches(window: Window): boolean {
    return window.token <= this.#tokenBegin + this.#tokens.length;
  }

  /** Adds a window that the passage reaches. */
  add(window: Window, scores: ScoredSuffix): void {
    this.#windows++;
    const at = window.token - this.#tokenBegin;
    const known = this.#tokens.length - at;
    for (const token of window.suffixTokens.subarray(known)) this.#tokens.push(token);
    if (this.#begin !== undefined && this.#end !== undefined && window.characters && window.tokenEnds) {
      for (const end of window.tokenEnds.subarray(known)) this.#ends.push(end - this.#begin);
      this.#pieces.push(copyOf(window.textFrom(this.#end)));
      this.#end = Math.max(this.#end, window.characters.end);
    }
    for (const [plan, one] of scores.entries()) this.#plans[plan]?.add(one, at);
  }

  /** Returns the text and where its tokens end. Token ids are decoded. */
  #text(tokenizer: Tokenizer | undefined): Pick<Passage, "prefix" | "text" | "tokenEnds"> {
    if (this.#prefixText !== undefined) {
      return { prefix: this.#prefixText, text: this.#pieces.join(""), tokenEnds: this.#ends };
    }
    if (tokenizer === undefined) return {};
    const text = tokenizer.decode(this.#tokens);
    const spans = tokenizer.spans(text, this.#tokens);
    return { prefix: tokenizer.decode(this.#prefixTokens), text, ...(spans && { tokenEnds: [...spans.ends] }) };
  }

  /** Returns the passage. `remaining` has the parts that remain under each plan. */
  finish(
    where: Pick<Passage, "document" | "bypass">,
    remaining: readonly Span[][],
    tokenizer: Tokenizer | undefined,
  ): Passage {
    const [base, ...bypasses] = this.#plans.map((scores, plan) => scores.finish(remaining[plan] ?? []));
    return {
      ...where,
      ...this.span,
      windows: this.#windows,
      ...this.#text(tokenizer),
      base: base as PassageScores,
      bypasses,
    };
  }
}
