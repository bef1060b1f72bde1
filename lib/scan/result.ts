import type { Bypass } from "../bypass/bypass.js";
import type { BypassedParts } from "../bypass/bypassed-parts.js";
import type { ModelSettings } from "../scoring/model-settings.js";
import type { CharacterStride } from "./options.js";

/**
 * A part of a document, without the character and the token at its end. Offsets are in UTF-16 code units, so that
 * `document.slice(begin, end)` is its text; a byte order mark of a file counts. They are absent for documents of token
 * ids.
 */
export interface Span {
  /** The index of its first token in the document. */
  tokenBegin: number;
  /** The index after its last token. */
  tokenEnd: number;
  /** The offset of its first character in the document. */
  begin?: number;
  /** The offset after its last character. */
  end?: number;
}

/** The scores of the windows of a document under the unmodified model or a bypass, one value for each window. */
export interface WindowScores {
  /**
   * The sum of the log-probabilities of the suffix tokens under the sampling scheme, each given the true tokens before
   * it. Natural logarithm. Without tokens that are never sampled.
   */
  suffixLogLikelihood: number[];
  /** The number of suffix tokens that are never sampled, since they are outside of `topK`. Absent without `topK`. */
  neverSampled?: number[];
  /** The probability that one sample from the prefix is the suffix. 0 if a token is never sampled. */
  extractionProbability: number[];
  /** The number of samples that contain the suffix at least once with probability 0.5, at most 2^53 - 1. */
  samplesToExtract: number[];
  /** 1 if greedy decoding from the prefix generates exactly the suffix, otherwise 0. */
  exactMatch: number[];
  /**
   * The length of the longest run of consecutive suffix tokens that are the most probable one, each given the true
   * tokens before it.
   */
  longestRun: number[];
}

/** A scanned document, with the scores of its windows. */
export interface ScannedDocument {
  /** The name: a path, the line of a file, or the place in the list of documents. */
  name: string;
  /** The SHA-256 of the text in UTF-8, which for a plain file is that of the file; or of the ids as 32-bit little-endian integers. */
  sha256: string;
  /** The number of characters, in UTF-16 code units. Absent for a document of token ids. */
  characters?: number;
  /** The number of tokens. */
  tokens: number;
  /** The index of the document's first window among the windows of all documents. */
  firstWindow: number;
  /** The number of windows. 0 for documents that are shorter than one window. */
  windows: number;
  /** The suffix of each window. */
  suffixes: {
    /** The index of the first token of each suffix in the document. */
    token: number[];
    /** The offset of the first character of each suffix. Absent for a document of token ids. */
    begin?: number[];
    /** The offset after the last character of each suffix. Absent for a document of token ids. */
    end?: number[];
  };
  /** The scores of the windows under the unmodified model. */
  base: WindowScores;
  /** The scores of the windows under each bypass. */
  bypasses: WindowScores[];
}

/** The scores of a passage under the unmodified model or a bypass, over the windows that the passage consists of. */
export interface PassageScores {
  /** The largest extraction probability. */
  extractionProbability: number;
  /** The smallest number of samples that contain a suffix at least once with probability 0.5, at most 2^53 - 1. */
  samplesToExtract: number;
  /** The number of windows whose suffix greedy decoding generates exactly. */
  exactMatches: number;
  /** The longest run in a window, as in `WindowScores`. */
  longestRun: number;
  /**
   * The parts of the passage that are covered by windows at or above the threshold. For the unmodified model's own
   * passages this is the whole passage.
   */
  remaining: Span[];
  /**
   * The probability of each token under the sampling scheme, given the true tokens before it in a window: the largest over
   * the windows of the passage. 0 if it is never sampled.
   */
  tokenProbability: number[];
}

/**
 * A passage: overlapping or adjacent suffixes of windows whose extraction probability is at least the threshold, merged.
 */
export interface Passage extends Span {
  /** The index of the document. */
  document: number;
  /**
   * The index of the bypass that has this passage, if no passage of the unmodified model overlaps it. Absent for the
   * passages of the unmodified model.
   */
  bypass?: number;
  /** The number of windows that it consists of. */
  windows: number;
  /** The prefix of its first window, as text. Absent if the model has no tokenizer. */
  prefix?: string;
  /** The text of the passage. Absent if the model has no tokenizer. */
  text?: string;
  /** The index in `text` after each token. Tokens that are parts of one character share it. Absent without `text`. */
  tokenEnds?: number[];
  /** The scores under the unmodified model. */
  base: PassageScores;
  /** The scores under each bypass. */
  bypasses: PassageScores[];
}

/** What the windows at or above the threshold cover. */
export interface Coverage {
  /** The number of windows at or above the threshold. */
  windows: number;
  /** The number of passages. */
  passages: number;
  /** The number of tokens in them. */
  tokens: number;
  /** The number of characters in them, in documents of text. */
  characters: number;
}

/** What a scan found. */
export interface ScanSummary {
  /** The number of documents. */
  documents: number;
  /** The number of documents that are shorter than one window and therefore not scored. */
  shortDocuments: number;
  /** The number of tokens in all documents. */
  tokens: number;
  /** The number of characters in all documents of text. */
  characters: number;
  /** The number of windows. */
  windows: number;
  /** What the unmodified model gives away. */
  base: Coverage;
  /** What remains under each bypass. */
  bypasses: {
    /** What the model with this bypass gives away, by itself. */
    all: Coverage;
    /** What remains of the unmodified model's passages: the passages of which a part remains, and the size of these parts. */
    remaining: Omit<Coverage, "windows">;
    /** The number of passages that overlap none of the unmodified model. */
    added: number;
  }[];
}

/** A bypass of a scan. */
export interface ScannedBypass extends BypassedParts {
  /** The name, such as "block 3", "quartile 4" or "blocks 3, 7 MLP". */
  name: string;
}

/** The settings of a scan: everything that determines its measurements. */
export interface ScanSettings extends ModelSettings {
  /** The number of tokens of a prefix. */
  prefixLength: number;
  /** The number of tokens of a suffix. */
  suffixLength: number;
  /** The option `stride` as it was given. */
  stride: number | CharacterStride;
  /** The bypasses as they were given, without their means. */
  bypasses: Bypass[];
  /** The SHA-256 of the means of each bypass that has some, as 32-bit floats. Absent if none has. */
  means?: string[];
  /** The sampling temperature. */
  temperature: number;
  /** The option `topK`. Absent if it was not given. */
  topK?: number;
  /** The extraction probability from which on windows form passages. */
  threshold: number;
  /** The documents. */
  documents: {
    /** The number of documents. */
    count: number;
    /** The SHA-256 of the SHA-256 values of all documents. */
    sha256: string;
  };
}

/** The result of `model.scan`, as plain data. */
export interface ScanResult {
  /** What was found, in numbers. */
  summary: ScanSummary;
  /** The bypasses, in the order in which they were given. Scores of bypasses are in the same order. */
  bypasses: ScannedBypass[];
  /** The passages of the unmodified model, and those that only a bypass has, by document and position. */
  passages: Passage[];
  /** The documents, in the order in which they were given. */
  documents: ScannedDocument[];
  /** Everything that determines the measurements. */
  settings: ScanSettings;
  /** The cost of the scan, including earlier runs of a resumed scan. */
  cost: {
    /** The wall-clock time in seconds. */
    seconds: number;
    /**
     * The number of floating-point operations of the matrix products. A multiplication with an addition counts as two.
     */
    operations: number;
    /** The memory budget in bytes, in addition to the weights. */
    memory: number;
    /** The version of Node.js. */
    node: string;
  };
}
