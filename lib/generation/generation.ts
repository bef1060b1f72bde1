import * as v from "valibot";
import type { NativePlan, NativeToken } from "../addon/native.js";
import { type Bypass, toPlan } from "../bypass/bypass.js";
import { longCall, reading, validate, wholeNumber } from "../errors/validation.js";
import { node } from "../files/node.js";
import { finish, type OperationOptions } from "../operation/operation.js";
import { Progress } from "../operation/progress.js";
import type { Reader } from "../session/gate.js";
import type { Session } from "../session/session.js";
import { encodeAhead, encodeAllAhead } from "../tokenizer/encode-ahead.js";
import {
  isBatch,
  longestOf,
  requireContext,
  requireTokenizer,
  toContextRow,
  toContextRows,
  toTokenIds,
} from "../tokenizer/tokens.js";
import { TextStream } from "./text-stream.js";
import { rankCount, type TokenLogProbability } from "./token-log-probability.js";

/** Options of `model.generate` and `model.stream`. */
export interface GenerationOptions extends OperationOptions {
  /**
   * The maximum number of generated tokens. Defaults to 128, or to the room left in the model's context if that is
   * less.
   */
  maxNewTokens?: number;
  /**
   * The sampling temperature. 0 decodes greedily: the most probable token, and the lowest id in a tie. Defaults to 0.
   */
  temperature?: number;
  /** Sample only from this many most probable tokens. Defaults to all. */
  topK?: number;
  /**
   * Sample only from the smallest set of most probable tokens whose total probability reaches this value. Defaults to
   * 1.
   */
  topP?: number;
  /** The seed of the sampling, or an array with one for each prompt. A seed gives the same tokens on the same machine,
   * whether or not other prompts are generated with it. Defaults to random seeds; the result contains them. */
  seed?: number | readonly number[];
  /** Texts or token ids that end a generation. The text of the result ends before them. */
  stop?: string | number | readonly (string | number)[];
  /** Whether the model's end-of-text token ends a generation. Defaults to true. */
  stopAtEndOfText?: boolean;
  /**
   * The number of most probable tokens to return with each generated token, with their log-probabilities. At most the
   * vocabulary size. Defaults to 0.
   */
  topLogProbabilities?: number;
  /** What to bypass. Defaults to nothing. */
  bypass?: Bypass;
}

/**
 * Why a generation ended: "length" if it reached `maxNewTokens`, "stop" if it generated one of `stop`, and
 * "end-of-text" if it generated the model's end-of-text token.
 */
export type FinishReason = "length" | "stop" | "end-of-text";

/** The generation from one prompt. */
export interface Generation {
  /** The generated text, without the prompt. Undefined for a model without a tokenizer. */
  text: string | undefined;
  /** The generated tokens, without the prompt. Includes a token that ended the generation. */
  tokens: number[];
  /** The log-probability of each token under the model at temperature 1, natural logarithm. */
  logProbabilities: number[];
  /**
   * For each token, the most probable tokens at its position, the most probable first. Only present with the option
   * `topLogProbabilities`.
   */
  topLogProbabilities?: TokenLogProbability[][];
  /** Why the generation ended. */
  finishReason: FinishReason;
  /** The seed of the sampling, to generate the same tokens again. Undefined for greedy decoding. */
  seed: number | undefined;
}

/** A generated token of a stream. */
export interface GenerationPiece {
  /** The token id. */
  token: number;
  /**
   * The text that this token completes: that of one or several tokens, or an empty string. Undefined for a model
   * without a tokenizer.
   */
  text: string | undefined;
  /** The log-probability of the token under the model at temperature 1, natural logarithm. */
  logProbability: number;
  /**
   * The most probable tokens at this position, the most probable first. Only present with the option
   * `topLogProbabilities`.
   */
  topLogProbabilities?: TokenLogProbability[];
  /** Why the generation ended. Only present in the last piece. */
  finishReason?: FinishReason;
}

const seedNumber = wholeNumber(0);
const expectedSeeds = "a whole number from 0 to 2^53 - 1, or one for each prompt";
const expectedStops = "text that is not empty or a token id, or a list of these";
const stopItem = v.union([v.pipe(v.string(), v.nonEmpty("text that is not empty")), wholeNumber(0)], expectedStops);

const schema = v.strictObject({
  ...longCall,
  maxNewTokens: v.optional(wholeNumber(1)),
  temperature: v.optional(
    v.pipe(
      v.number(),
      v.check((value: number) => Number.isFinite(value) && value >= 0, "a number of at least 0"),
    ),
    0,
  ),
  topK: v.optional(wholeNumber(1)),
  topP: v.optional(
    v.pipe(
      v.number(),
      v.check((value: number) => value > 0 && value <= 1, "a number above 0 and up to 1"),
    ),
    1,
  ),
  seed: v.optional(v.union([seedNumber, v.array(seedNumber)], expectedSeeds)),
  stop: v.optional(v.union([stopItem, v.array(stopItem)], expectedStops), []),
  stopAtEndOfText: v.optional(v.boolean(), true),
  topLogProbabilities: v.optional(v.number(), 0),
  bypass: v.optional(v.unknown()),
});

const defaultMaxNewTokens = 128;

/** The state of the generation from one prompt. */
class GenerationRow {
  readonly generation: Generation;
  readonly #texts: TextStream | undefined;

  constructor(
    session: Session,
    private readonly ends: { tokens: ReadonlySet<number>; endOfText: ReadonlySet<number>; length: number },
    stops: readonly string[],
    seed: number | undefined,
  ) {
    this.#texts = session.tokenizer && new TextStream(session.tokenizer, stops);
    this.generation = { text: this.#texts?.text, tokens: [], logProbabilities: [], finishReason: "length", seed };
  }

  /** Returns the piece, and whether it was the last one. */
  push({ token, logProbability, top }: NativeToken): { piece: GenerationPiece; done: boolean } {
    const { tokens, logProbabilities } = this.generation;
    tokens.push(token);
    logProbabilities.push(logProbability);
    if (top.length > 0) {
      this.generation.topLogProbabilities ??= [];
      this.generation.topLogProbabilities.push(top);
    }
    const endsText = this.ends.endOfText.has(token);
    const stops = this.ends.tokens.has(token);
    let text = endsText || stops ? this.#texts && "" : this.#texts?.push(token);
    const stopped = stops || this.#texts?.stopped === true;
    const done = endsText || stopped || tokens.length === this.ends.length;
    if (done && this.#texts && text !== undefined) text += this.#texts.end();
    if (stopped || this.#texts?.stopped) this.generation.finishReason = "stop";
    else if (endsText) this.generation.finishReason = "end-of-text";
    this.generation.text = this.#texts?.text;
    const piece = {
      ...{ token, text, logProbability },
      ...(top.length > 0 && { topLogProbabilities: top }),
      ...(done && { finishReason: this.generation.finishReason }),
    };
    return { piece, done };
  }
}

/** The checked options of a generation. */
type CheckedOptions = v.InferOutput<typeof schema> & {
  plan: NativePlan;
  stops: { texts: string[]; tokens: Set<number> };
};

/** One prompt or several, before they are checked. */
type Prompts = { one: unknown } | { several: readonly unknown[] };

/** The checked prompts and options of a generation. */
interface GenerationPlan extends OperationOptions {
  prompts: Int32Array[];
  rows: GenerationRow[];
  plan: NativePlan;
  maxNewTokens: number;
  temperature: number;
  topK: number;
  topP: number;
  top: number;
  seeds: number[];
}

function checkOptions({ config, tokenizer }: Session, options: unknown): CheckedOptions {
  const checked = validate(schema, options, "options");
  validate(rankCount(config), checked.topLogProbabilities, "options.topLogProbabilities");
  const stop = [checked.stop].flat();
  const texts = stop.filter((item) => typeof item === "string");
  if (texts.length > 0) requireTokenizer(tokenizer, "options.stop");
  const tokens = toTokenIds(
    stop.filter((item) => typeof item === "number"),
    config,
    "options.stop",
  );
  return { ...checked, plan: toPlan(checked.bypass, config), stops: { texts, tokens: new Set(tokens) } };
}

function prepare(session: Session, input: Prompts, checked: CheckedOptions): GenerationPlan {
  const { config } = session;
  const one = "one" in input;
  const prompts = one ? [toContextRow(input.one, session, "prompt")] : toContextRows(input.several, session, "prompts");
  const room = config.contextLength - longestOf(prompts);
  const maxNewTokens = checked.maxNewTokens ?? Math.max(1, Math.min(defaultMaxNewTokens, room));
  prompts.forEach((row, index) => {
    const name = one ? "prompt" : `prompts[${index}]`;
    requireContext(row.length + maxNewTokens, config, `${name} and maxNewTokens together`);
  });
  const ends = {
    tokens: checked.stops.tokens,
    endOfText: new Set(checked.stopAtEndOfText ? config.endTokens : []),
    length: maxNewTokens,
  };
  if (Array.isArray(checked.seed)) {
    validate(
      v.pipe(v.array(seedNumber), v.length(prompts.length, "one seed for each prompt")),
      checked.seed,
      "options.seed",
    );
  }
  const sampled = checked.temperature > 0;
  const seeds = prompts.map((_, index) =>
    Array.isArray(checked.seed) ? (checked.seed[index] as number) : (checked.seed ?? node.crypto.randomInt(2 ** 47)),
  );
  const { plan, temperature, topK = 0, topP, topLogProbabilities: top, signal, onProgress } = checked;
  return {
    prompts,
    rows: seeds.map((seed) => new GenerationRow(session, ends, checked.stops.texts, sampled ? seed : undefined)),
    ...{ plan, maxNewTokens, temperature, topK, topP, top, seeds, signal, onProgress },
  };
}

/** Decodes until every row is done. Yields one piece for each unfinished row in each step. */
async function* decode(
  { generations }: Session,
  { prompts, rows, plan, seeds, signal, onProgress: _, ...options }: GenerationPlan,
  reader: Pick<Reader, "step" | "leave">,
): AsyncGenerator<GenerationPiece, void, void> {
  const owner = {};
  signal?.throwIfAborted();
  const numbers = await generations.add(owner, prompts, plan, { ...options, seeds: Float64Array.from(seeds) });
  let active = rows.map((row, index) => ({ row, number: numbers[index] as number }));
  try {
    while (active.length > 0) {
      const activeNumbers = Int32Array.from(active, ({ number }) => number);
      const tokens = await reader.step(() => generations.step(activeNumbers, signal));
      const pieces = active.map(({ row }, index) => row.push(tokens[index] as NativeToken));
      const ended = active.filter((_, index) => pieces[index]?.done);
      active = active.filter((_, index) => !pieces[index]?.done);
      // Before the pieces are yielded, since a caller may stop reading after the last one.
      if (ended.length > 0) void generations.remove(Int32Array.from(ended, ({ number }) => number));
      if (active.length === 0) reader.leave();
      for (const { piece } of pieces) yield piece;
    }
  } finally {
    // Not awaited: it is queued after work that may still run.
    void generations.remove(numbers);
    generations.release(owner);
  }
}

/** For `generate`, which the gate waits for as one call. */
const noReader: Pick<Reader, "step" | "leave"> = { step: (work) => work(), leave() {} };

async function generateAll(session: Session, plan: GenerationPlan): Promise<Generation[]> {
  const total = plan.maxNewTokens * plan.prompts.length;
  const progress = plan.onProgress && new Progress(plan.onProgress);
  let count = 0;
  for await (const _ of decode(session, plan, noReader)) {
    progress?.report(++count / total);
    progress?.check();
  }
  if (progress) await finish(progress, plan.signal);
  return plan.rows.map((row) => row.generation);
}

/** Generates from one prompt, or from several in one batch. Their lengths may differ. */
export async function generate(
  session: Session,
  input: unknown,
  options: GenerationOptions,
): Promise<Generation | Generation[]> {
  const checked = checkOptions(session, options);
  const several = reading("prompt", () => Array.isArray(input));
  const name = several ? "prompts" : "prompt";
  const { value } = await encodeAllAhead(input, session, name, { signal: checked.signal, fits: true });
  if (isBatch(value, "prompt")) return generateAll(session, prepare(session, { several: value }, checked));
  const [generation] = await generateAll(session, prepare(session, { one: value }, checked));
  return generation as Generation;
}

/**
 * Prepares a stream from one prompt and returns a function that starts it. Checks everything that can be checked before
 * the text is encoded.
 */
export function prepareStream(
  session: Session,
  prompt: unknown,
  options: GenerationOptions,
): (reader: Reader) => AsyncGenerator<GenerationPiece, void, void> {
  const checked = checkOptions(session, options);
  if (typeof prompt === "string") requireTokenizer(session.tokenizer, "prompt");
  const ready = typeof prompt === "string" && prompt !== "" ? undefined : prepare(session, { one: prompt }, checked);
  return async function* (reader) {
    const encode = () => encodeAhead(prompt, session, "prompt", { signal: checked.signal, fits: true });
    const plan = ready ?? prepare(session, { one: (await reader.step(encode)).value }, checked);
    yield* decode(session, plan, reader);
  };
}
