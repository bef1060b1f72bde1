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
Text comes as the model writes it, without the prompt; from a model without a
tokenizer come token ids, with spaces between them. A prompt that begins with -
goes after --. With --json: text, tokens, logProbabilities (natural logarithm),
finishReason ("length", "stop" or "end-of-text") and seed (null if no tokens
were drawn).

Examples:
  $ attention-bypass generate ./pythia-160m "The licenses for most software" \\
      --bypass q4
  $ attention-bypass generate ./pythia-160m --tokens 510,23937 \\
      --temperature 0.8 --top-k 40 --seed 1 --json
  $ attention-bypass generate ./pythia-160m --max-new-tokens 50 -- "- a list"
  $ cat prompt.txt | attention-bypass generate ./pythia-160m - \\
      --bypass 4-7 --mode short-circuit`;

/** A person who likes what was drawn needs its seed; a stream, unlike a generation, does not name it. */
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
    .summary("write on after a prompt")
    .description("Writes on after a prompt, with the attention of the blocks that you name switched off.")
    .argument("<model>", modelHelp)
    .argument("[prompt]", 'text to write on after; "-" reads standard input, less a line break at its end')
    .optionsGroup("Generation options:")
    .option("--tokens <ids>", "token ids for a prompt, such as 1,2,3", tokenIds)
    .option(
      "--max-new-tokens <count>",
      "tokens to generate at most (default: 128, or what the context still holds)",
      wholeNumber(1),
    )
    .option("--temperature <number>", "0 takes the most probable token, above 0 tokens are drawn (default: 0)", decimal)
    .option("--top-k <count>", "draw among so many most probable tokens (default: all)", wholeNumber(1))
    .option("--top-p <share>", "draw among the fewest tokens with this probability together (default: 1)", decimal)
    .option(
      "--seed <number>",
      "the same seed draws the same tokens (default: a random one, told on stderr)",
      wholeNumber(0),
    )
    .option("--stop <text>", "end before this text; may be given again", append)
    .option("--no-stop-at-end-of-text", "go on after the model's end-of-text token");
  addBypassOptions(command);
  addModelOptions(command);
  addJsonOption(command)
    .addHelpText("after", examples)
    .action((path: string, prompt: string | undefined, options: Options) => generate(path, prompt, options, signal));
}
