import { randomInt } from "node:crypto";
import type { Command } from "commander";
import type { GenerationOptions } from "../generation/generation.js";
import type { Model } from "../model.js";
import { addBypassOptions, type BypassOptions, toBypass, withMeans } from "./bypass-options.js";
import { readStandardInput, textOrTokens } from "./input.js";
import { addModelOptions, type ModelOptions, modelHelp, openModel } from "./model-options.js";
import { addJsonOption, type JsonOption, print, printGenerated, printJson } from "./output.js";
import { pick } from "./pick.js";
import { append, decimal, tokenIds, wholeNumber } from "./values.js";

interface Options extends ModelOptions, BypassOptions, JsonOption {
  tokens?: number[];
  maxNewTokens?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  seed?: number;
  stop?: string[];
  stopAtEndOfText: boolean;
}

const examples = `
Prints the generated text, without the prompt, as it is generated. Without a
tokenizer, prints token ids separated by spaces. Write a prompt that begins with
- after --. --json prints text, tokens, logProbabilities (natural logarithm),
finishReason ("length", "stop" or "end-of-text") and seed (null for greedy
decoding).

Examples:
  $ attention-bypass generate ./pythia-160m "The licenses for most software" \\
      --bypass q4
  $ attention-bypass generate ./pythia-160m --tokens 510,23937 \\
      --temperature 0.8 --top-k 40 --seed 1 --json
  $ attention-bypass generate ./pythia-160m --max-new-tokens 50 -- "- a list"
  $ cat prompt.txt | attention-bypass generate ./pythia-160m - \\
      --bypass 4-7 --mode short-circuit`;

/** Chooses a seed and prints it, so that a sampled text can be repeated: a stream does not return its seed. */
function noteSeed(options: Options): { seed?: number } {
  if ((options.temperature ?? 0) <= 0 || options.seed !== undefined) return {};
  const seed = randomInt(2 ** 47);
  process.stderr.write(`attention-bypass: --seed ${seed}\n`);
  return { seed };
}

async function printStream(model: Model, prompt: string | number[], options: GenerationOptions): Promise<void> {
  let separator = "";
  for await (const { text, token } of model.stream(prompt, options)) {
    if (text === undefined) {
      await print(`${separator}${token}`);
      separator = " ";
    } else if (text !== "") await printGenerated(text);
  }
  await print("\n");
}

async function generate(path: string, argument: string | undefined, options: Options, signal: AbortSignal) {
  const bypass = toBypass(options);
  const prompt = await textOrTokens("a prompt", argument, options.tokens, async (text) =>
    text === "-" ? (await readStandardInput(signal)).replace(/\r?\n$/, "") : text,
  );
  await using model = await openModel(path, options, signal);
  const generation: GenerationOptions = {
    ...pick(options, ["maxNewTokens", "temperature", "topK", "topP", "seed", "stop", "stopAtEndOfText"]),
    ...(await withMeans(model, bypass, options, signal)),
    signal,
  };
  if (options.json) await printJson(await model.generate(prompt, generation));
  else await printStream(model, prompt, { ...generation, ...noteSeed(options) });
}

export function addGenerate(program: Command, signal: AbortSignal): void {
  const command = program
    .command("generate")
    .summary("generate text from a prompt")
    .description("Generates text from a prompt, optionally with the attention of chosen blocks bypassed.")
    .argument("<model>", modelHelp)
    .argument("[prompt]", 'text of the prompt; "-" reads standard input, without its last line break')
    .optionsGroup("Generation options:")
    .option("--tokens <ids>", "token ids of the prompt, such as 1,2,3", tokenIds)
    .option(
      "--max-new-tokens <count>",
      "maximum number of tokens (default: 128, or the rest of the context if that is less)",
      wholeNumber(1),
    )
    .option("--temperature <number>", "0 for greedy decoding, above 0 for sampling (default: 0)", decimal)
    .option("--top-k <count>", "sample from this many most probable tokens (default: all)", wholeNumber(1))
    .option(
      "--top-p <share>",
      "sample from the fewest tokens whose probabilities sum to this value (default: 1)",
      decimal,
    )
    .option("--seed <number>", "seed of the sampling (default: random, printed on stderr)", wholeNumber(0))
    .option("--stop <text>", "stop before this text; may be repeated", append)
    .option("--no-stop-at-end-of-text", "continue after the model's end-of-text token");
  addBypassOptions(command);
  addModelOptions(command);
  addJsonOption(command)
    .addHelpText("after", examples)
    .action((path: string, prompt: string | undefined, options: Options) => generate(path, prompt, options, signal));
}
