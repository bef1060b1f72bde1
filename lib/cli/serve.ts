import path from "node:path";
import { type Command, Option } from "commander";
import {
  type Blocks,
  type Bypass,
  type BypassMode,
  type BypassPart,
  bypassModes,
  bypassParts,
} from "../bypass/bypass.js";
import { environmentKey, requireKey } from "../serve/api-key.js";
import type { ServeLimits } from "../serve/options.js";
import { serve } from "../serve.js";
import { meanSamplesOption, parseBlocks, readMeans, toBypass } from "./bypass-options.js";
import { reportError } from "./failure.js";
import { addModelOptions, type ModelOptions, modelHelp, openModel } from "./model-options.js";
import { addJsonOption, type JsonOption, print, printJson } from "./output.js";
import { pick } from "./pick.js";
import { decimal, wholeNumber } from "./values.js";

interface Options extends ModelOptions, JsonOption {
  bypass?: ReadonlyMap<string, Blocks>;
  part?: BypassPart;
  mode?: BypassMode;
  meanSamples?: string;
  name?: string;
  host?: string;
  port?: number;
  drainSeconds?: number;
  maxBodyBytes?: number;
  maxPromptTokens?: number;
  maxNewTokens?: number;
  maxChoices?: number;
  maxRunning?: number;
  maxQueue?: number;
  maxSeconds?: number;
}

const examples = `
Serves /v1/completions, /v1/chat/completions (for tokenizers with a chat
template), /v1/models, /health and /metrics. The model's name is that of its
folder; with --bypass q4, NAME:q4 is the model with the last quarter bypassed.
Requests that run at the same time decode as one batch. The environment variable
ATTENTION_BYPASS_API_KEY sets a key that requests must contain, which a --host
other than the loopback address requires. SIGTERM or SIGINT refuses new requests
and waits for running ones; a second one ends the process. Prints the address
when it listens; --json prints url and models. docs/serving.md is the guide.

Examples:
  $ attention-bypass serve ./pythia-160m --bypass q4 --port 8080
  $ attention-bypass serve ./pythia-160m --bypass q1 --bypass q4 --bypass 4-7 \\
      --mode short-circuit`;

function appendBlocks(text: string, before: ReadonlyMap<string, Blocks> = new Map()): ReadonlyMap<string, Blocks> {
  return new Map([...before, [text, parseBlocks(text)]]);
}

function limitsOf(options: Options): ServeLimits {
  const { maxBodyBytes, maxPromptTokens, maxNewTokens, maxChoices, maxRunning, maxQueue, maxSeconds } = options;
  const given = {
    bodyBytes: maxBodyBytes,
    promptTokens: maxPromptTokens,
    newTokens: maxNewTokens,
    choices: maxChoices,
    running: maxRunning,
    queue: maxQueue,
    seconds: maxSeconds,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** The name of a model in the API: that of its folder, or of its file without the extension. */
function nameOf(place: string): string {
  return path.parse(path.resolve(place)).name.replace(/[\s:]/g, "-") || "model";
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Returns the bypasses by name. Throws INVALID_ARGUMENT. */
function namedBypasses({ bypass = new Map(), part, mode, meanSamples }: Options): [string, Bypass][] {
  const shared = { ...(part && { part }), ...(mode && { mode }), ...(meanSamples !== undefined && { meanSamples }) };
  // Without --bypass, this refuses the options that need it.
  if (bypass.size === 0) toBypass(shared);
  return [...bypass].map(([name, blocks]) => [name, toBypass({ bypass: blocks, ...shared }).bypass as Bypass]);
}

async function serveModel(place: string, options: Options, signal: AbortSignal): Promise<void> {
  const { name = nameOf(place) } = options;
  const named = namedBypasses(options);
  // Before the model is loaded, which may take long.
  requireKey(options.host ?? "127.0.0.1", environmentKey());
  await using model = await openModel(place, options, signal);
  const means = await readMeans(model, pick(options, ["meanSamples", "json"]), signal);
  const bypasses = Object.fromEntries(named.map(([suffix, bypass]) => [suffix, { ...bypass, ...means }]));
  await using server = await serve(model, {
    ...pick(options, ["host", "port", "drainSeconds"]),
    ...{ name, bypasses, limits: limitsOf(options), onError: reportError },
  });
  const models = [name, ...named.map(([suffix]) => `${name}:${suffix}`)];
  if (options.json) await printJson({ url: server.url, models });
  else await print(`${server.url} serves ${models.join(", ")}\n`);
  await untilAborted(signal);
}

export function addServe(program: Command, signal: AbortSignal): void {
  const command = program
    .command("serve")
    .summary("serve a model over HTTP with OpenAI's API")
    .description(
      "Serves a model over HTTP with OpenAI's API for completions, also with the attention of chosen blocks bypassed.",
    )
    .argument("<model>", modelHelp)
    .optionsGroup("Server options:")
    .option("--name <name>", "name of the model in the API (default: that of its folder)")
    .option("--host <address>", "address to listen on (default: 127.0.0.1)")
    .option("--port <port>", "port to listen on; 0: a free one (default: 8080)", wholeNumber(0))
    .option("--drain-seconds <seconds>", "how long to wait for running requests at the end (default: 30)", decimal)
    .optionsGroup("Bypass options:")
    .option(
      "--bypass <blocks>",
      "blocks to bypass under the name MODEL:BLOCKS, such as 7, or 5,6,7, or 4-7, or 4- (to the last), or q4 (the last " +
        "quarter); may be repeated (default: none)",
      appendBlocks,
    )
    .addOption(new Option("--part <part>", 'part of the blocks to bypass (default: "attention")').choices(bypassParts))
    .addOption(
      new Option("--mode <mode>", 'what replaces the output, as in generate (default: "zero")').choices(bypassModes),
    )
    .addOption(meanSamplesOption)
    .optionsGroup("Limits:")
    .option("--max-body-bytes <bytes>", "size of a request's body (default: 4 MiB)", wholeNumber(1))
    .option("--max-prompt-tokens <count>", "tokens of a prompt (default: the context)", wholeNumber(1))
    .option("--max-new-tokens <count>", "max_tokens of a request (default: the context)", wholeNumber(1))
    .option("--max-choices <count>", "prompts times n of a request (default: 128)", wholeNumber(1))
    .option("--max-running <count>", "choices that are computed together (default: 128)", wholeNumber(1))
    .option("--max-queue <count>", "requests that wait (default: 256)", wholeNumber(0))
    .option("--max-seconds <seconds>", "time of a request, with its wait (default: 600)", decimal);
  addModelOptions(command);
  addJsonOption(command)
    .addHelpText("after", examples)
    .action((place: string, options: Options) => serveModel(place, options, signal));
}
