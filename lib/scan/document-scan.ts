import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { KnownDocument } from "./inventory.js";
import { OpenPassage } from "./open-passage.js";
import type { Passage, ScannedDocument, Span, WindowScores } from "./result.js";
import { partsInside } from "./spans.js";
import { extractionProbability, type ScoredSuffix, type SuffixScores, samplesOf } from "./suffix-scores.js";
import type { Window } from "./windows.js";

/** The values of all windows under one plan. */
class Columns {
  readonly #logLikelihood: number[] = [];
  readonly #neverSampled: number[] = [];
  readonly #longestRun: number[] = [];

  add({ logLikelihood, neverSampled, longestRun }: SuffixScores): void {
    this.#logLikelihood.push(logLikelihood);
    this.#neverSampled.push(neverSampled);
    this.#longestRun.push(longestRun);
  }

  toScores({ suffixLength, topK }: ScanShape): WindowScores {
    const probabilities = this.#logLikelihood.map((logLikelihood, index) =>
      extractionProbability({ logLikelihood, neverSampled: this.#neverSampled[index] as number }),
    );
    return {
      suffixLogLikelihood: this.#logLikelihood,
      ...(topK !== undefined && { neverSampled: this.#neverSampled }),
      extractionProbability: probabilities,
      samplesToExtract: probabilities.map(samplesOf),
      exactMatch: this.#longestRun.map((run) => Number(run === suffixLength)),
      longestRun: this.#longestRun,
    };
  }
}

/** The passages of a document under one plan. */
class Passages {
  readonly list: OpenPassage[] = [];

  add(window: Window, scores: ScoredSuffix): void {
    if (!this.list.at(-1)?.reaches(window)) this.list.push(new OpenPassage(window, scores.length));
    this.list.at(-1)?.add(window, scores);
  }
}

/** What is equal for all documents of a scan. */
export interface ScanShape {
  suffixLength: number;
  topK: number | undefined;
  threshold: number;
  /** The number of plans: the unmodified model and the bypasses. */
  plans: number;
}

/** Collects the scores of a document's windows and merges them into passages. Windows are added in order. */
export class DocumentScan {
  /** The number of tokens that have been read. */
  tokens = 0;
  windows = 0;
  readonly #suffixes: Required<ScannedDocument["suffixes"]> = { token: [], begin: [], end: [] };
  readonly #columns: Columns[];
  readonly #passages: Passages[];
  /** For each plan, the number of windows at or above the threshold. */
  readonly found: number[];

  constructor(
    readonly known: KnownDocument,
    private readonly shape: ScanShape,
  ) {
    const plans = Array.from({ length: shape.plans });
    this.#columns = plans.map(() => new Columns());
    this.#passages = plans.map(() => new Passages());
    this.found = plans.map(() => 0);
  }

  add(window: Window, scores: ScoredSuffix): void {
    this.windows++;
    this.#suffixes.token.push(window.token);
    const { characters } = window;
    if (characters) {
      this.#suffixes.begin.push(characters.begin);
      this.#suffixes.end.push(characters.end);
    }
    for (const [plan, one] of scores.entries()) {
      this.#columns[plan]?.add(one);
      if (extractionProbability(one) < this.shape.threshold) continue;
      this.found[plan] = (this.found[plan] as number) + 1;
      this.#passages[plan]?.add(window, scores);
    }
  }

  /** Returns the spans of the passages under each plan. */
  spans(): Span[][] {
    return this.#passages.map(({ list }) => list.map(({ span }) => span));
  }

  toDocument(firstWindow: number): ScannedDocument {
    const { name, sha256, characters } = this.known;
    const { token, begin, end } = this.#suffixes;
    const [base, ...bypasses] = this.#columns.map((columns) => columns.toScores(this.shape));
    return {
      name,
      sha256,
      ...(characters !== undefined && { characters }),
      tokens: this.tokens,
      firstWindow,
      windows: this.windows,
      suffixes: { token, ...(characters !== undefined && { begin, end }) },
      base: base as WindowScores,
      bypasses,
    };
  }

  /** Returns the passages of the unmodified model, and those of each bypass that overlap none of them, by position. */
  toPassages(document: number, tokenizer: Tokenizer | undefined): Passage[] {
    const spans = this.spans();
    const passages = this.#passages.flatMap(({ list }, plan) => {
      const inside = spans.map(partsInside);
      return list.flatMap((open) => {
        const remaining = inside.map((parts) => parts(open.span));
        if (plan > 0 && remaining[0]?.length !== 0) return [];
        return [open.finish({ document, ...(plan > 0 && { bypass: plan - 1 }) }, remaining, tokenizer)];
      });
    });
    return passages.sort((one, other) => one.tokenBegin - other.tokenBegin);
  }
}
