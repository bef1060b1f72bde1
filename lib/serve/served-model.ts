import type { ModelConfig } from "../families/config.js";
import type { GenerationOptions, GenerationPiece } from "../generation/generation.js";
import type { LogProbabilities, LogProbabilitiesOptions } from "../scoring/log-probabilities.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { Tokens } from "../tokenizer/tokens.js";

/** The part of `Model` that the server uses. */
export interface ServedModel {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer | undefined;
  stream(prompt: Tokens, options: GenerationOptions): AsyncGenerator<GenerationPiece, void, void>;
  logProbabilities(row: Tokens, options: LogProbabilitiesOptions): Promise<LogProbabilities>;
}
