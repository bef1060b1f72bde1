import type { Command } from "commander";
import { formatNumber, table } from "../display/text-form.js";
import type { Model } from "../model.js";
import { addBypassOptions, type BypassOptions, toBypass, withMeans } from "./bypass-options.js";
import { readText, textOrTokens } from "./input.js";
import { addMemoryOption, type MemoryOption, toMemory } from "./memory-option.js";
import { addModelOptions, type ModelOptions, modelHelp, openModel } from "./model-options.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { pick } from "./pick.js";
import { withProgress } from "./progress.js";
import { tokenIds, wholeNumber } from "./values.js";

interface Options extends ModelOptions, BypassOptions, MemoryOption, JsonOption {
  tokens?: number[];
  contextLength?: number;
  stride?: number;
  beginningToken?: number;
  limitTokens?: number;
}

const examples = `
Prints perplexity, negativeLogLikelihood (mean per token, natural logarithm) and
tokenCount (number of predicted tokens).

Examples:
  $ attention-bypass perplexity ./pythia-160m wikitext2.test.raw \\
      --context-length 1024 --stride 512
  $ attention-bypass perplexity ./pythia-160m wikitext2.test.raw \\
      --limit-tokens 5000 --bypass 5,6,7 --json`;

/** Returns the first tokens of a text, or the text itself if there is no limit or no tokenizer. The model then encodes it or
 * throws TOKENIZER_MISSING. */
async function firstTokens(
  text: string | number[],
  model: Model,
  limit: number | undefined,
  signal: AbortSignal,
): Promise<string | number[]> {
  if (limit === undefined) return text;
  const tokens = typeof text === "string" ? await model.tokenizer?.encodeAsync(text, { signal }) : text;
  return tokens ? Array.from(tokens).slice(0, limit) : text;
}

async function perplexity(path: string, file: string | undefined, options: Options, signal: AbortSignal) {
  const bypass = toBypass(options);
  const text = await textOrTokens("a file", file, options.tokens, (name) => readText(name, signal));
  await using model = await openModel(path, options, signal);
  const bypassed = await withMeans(model, bypass, options, signal);
  const tokens = await firstTokens(text, model, options.limitTokens, signal);
  const result = await withProgress("Predicting", options, (onProgress) =>
    model.perplexity(tokens, {
      ...pick(options, ["contextLength", "stride", "beginningToken"]),
      ...toMemory(options),
      ...bypassed,
      signal,
      onProgress,
    }),
  );
  if (options.json) await printJson(result);
  else await print(table(Object.entries(result).map(([name, value]) => [name, formatNumber(value)])));
}

export function addPerplexity(program: Command, signal: AbortSignal): void {
  const command = program
    .command("perplexity")
    .summary("measure how well a model predicts a text")
    .description(
      "Measures how well a model predicts a text. The model reads the text in overlapping windows. Each token is " +
        "predicted once, with at least --context-length minus --stride tokens before it, except in the first window.",
    )
    .argument("<model>", modelHelp)
    .argument("[file]", 'text file in UTF-8, or a folder of .txt files; "-" reads standard input')
    .optionsGroup("Perplexity options:")
    .option("--tokens <ids>", "token ids instead of a file, such as 1,2,3", tokenIds)
    .option("--context-length <count>", "tokens in a window (default: the model's context length)", wholeNumber(2))
    .option(
      "--stride <count>",
      "tokens predicted in each window after the first (default: half of the context length)",
      wholeNumber(1),
    )
    .option(
      "--beginning-token <id>",
      "token to insert before the text, so that its first token is predicted too (default: none)",
      wholeNumber(0),
    )
    .option("--limit-tokens <count>", "number of tokens, from the first on (default: all)", wholeNumber(1));
  addMemoryOption(command);
  addBypassOptions(command);
  addModelOptions(command);
  addJsonOption(command)
    .addHelpText("after", examples)
    .action((path: string, file: string | undefined, options: Options) => perplexity(path, file, options, signal));
}
