import * as v from "valibot";
import type { NativePlan, NativeToken } from "../addon/native.js";
import { type Bypass, toPlan } from "../bypass/bypass.js";
import { longCall, validate, wholeNumber } from "../errors/validation.js";
import { node } from "../files/node.js";
import { finish, type OperationOptions } from "../operation/operation.js";
import { Progress } from "../operation/progress.js";
import type { Reader, Session } from "../session/session.js";
import {
  longestOf,
  requireContext,
  requireTokenizer,
  type Tokens,
  toContextRow,
  toContextRows,
  toTokenIds,
} from "../tokenizer/tokens.js";
import { TextStream } from "./text-stream.js";

/** Options of `model.generate` and `model.stream`. */
export interface GenerationOptions extends OperationOptions {
  /** Defaults to 128, or to what the model's context still holds where that is less. */
  maxNewTokens?: number;
  /** 0 takes the most probable token each time, the lowest id of several; above, tokens are drawn. Defaults to 0. */
  temperature?: number;
  /** Draw among this many most probable tokens. Defaults to all. */
  topK?: number;
  /** Draw among the fewest most probable tokens that reach this probability together. Defaults to 1. */
  topP?: number;
  /** The same seed draws the same tokens on the same machine, for a prompt alone as for one among others; a list
   * has one seed for each prompt. Defaults to random ones, which the result names. */
  seed?: number | readonly number[];
  /** Text or tokens that end a generation; the result's text ends before them. */
  stop?: string | number | readonly (string | number)[];
  /** Whether the model's own end-of-text token ends a generation. Defaults to true. */
  stopAtEndOfText?: boolean;
  /** What to bypass. Defaults to nothing. */
  bypass?: Bypass;
}

/** Why a generation ended: `maxNewTokens` or the context was reached, `stop` came, or the model's end-of-text token. */
export type FinishReason = "length" | "stop" | "end-of-text";

/** What comes after one prompt. */
export interface Generation {
  /** The generated text alone; undefined for a model without a tokenizer. */
  text: string | undefined;
  /** The generated tokens alone, one that ended the generation included. */
  tokens: number[];
  /** Of each token under the model, natural logarithm, whatever the temperature. */
  logProbabilities: number[];
  /** Why it ended. */
  finishReason: FinishReason;
  /** Where tokens were drawn: draws the same again. */
  seed: number | undefined;
}

/** A generated token of a stream. */
export interface GenerationPiece {
  /** Its id. */
  token: number;
  /** The text that this token completes, often that of several tokens and sometimes none; undefined for a model
   * without a tokenizer. */
  text: string | undefined;
  /** Under the model, natural logarithm, whatever the temperature. */
  logProbability: number;
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
      v.check((value: number) => Number.isFinite(value) && value >= 0, "a number from 0 up"),
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
  bypass: v.optional(v.any()),
});

const defaultMaxNewTokens = 128;

/** What one prompt has generated so far. */
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
  push(token: number, logProbability: number): { piece: GenerationPiece; done: boolean } {
    const { tokens, logProbabilities } = this.generation;
    tokens.push(token);
    logProbabilities.push(logProbability);
    const endsText = this.ends.endOfText.has(token);
    const stops = this.ends.tokens.has(token);
    let text = endsText || stops ? this.#texts && "" : this.#texts?.push(token);
    const stopped = stops || this.#texts?.stopped === true;
    const done = endsText || stopped || tokens.length === this.ends.length;
    if (done && this.#texts && text !== undefined) text += this.#texts.end();
    if (stopped || this.#texts?.stopped) this.generation.finishReason = "stop";
    else if (endsText) this.generation.finishReason = "end-of-text";
    this.generation.text = this.#texts?.text;
    return { piece: { token, text, logProbability }, done };
  }
}

/** Everything that a generation needs, checked. */
interface GenerationPlan extends OperationOptions {
  prompts: Int32Array[];
  rows: GenerationRow[];
  plan: NativePlan;
  maxNewTokens: number;
  temperature: number;
  topK: number;
  topP: number;
  seeds: number[];
}

type Prompts = { one: string | Tokens } | { several: readonly (string | Tokens)[] };

function prepare(session: Session, given: Prompts, options: GenerationOptions): GenerationPlan {
  const checked = validate(schema, options, "options");
  const { config } = session;
  const plan = toPlan(checked.bypass as Bypass | undefined, config);
  const one = "one" in given;
  const rows = one ? [toContextRow(given.one, session, "prompt")] : toContextRows(given.several, session, "prompts");
  const room = config.contextLength - longestOf(rows);
  const maxNewTokens = checked.maxNewTokens ?? Math.max(1, Math.min(defaultMaxNewTokens, room));
  rows.forEach((row, index) => {
    const name = one ? "prompt" : `prompts[${index}]`;
    requireContext(row.length + maxNewTokens, config, `${name} and maxNewTokens together`);
  });
  const stop = [checked.stop].flat();
  const stopTexts = stop.filter((item) => typeof item === "string");
  const stopTokens = stop.filter((item) => typeof item === "number");
  if (stopTexts.length > 0) requireTokenizer(session.tokenizer, "options.stop");
  const ends = {
    tokens: new Set(toTokenIds(stopTokens, config, "options.stop")),
    endOfText: new Set(checked.stopAtEndOfText ? config.endTokens : []),
    length: maxNewTokens,
  };
  if (Array.isArray(checked.seed)) {
    validate(
      v.pipe(v.array(seedNumber), v.length(rows.length, "one seed for each prompt")),
      checked.seed,
      "options.seed",
    );
  }
  const drawn = checked.temperature > 0;
  const seeds = rows.map((_, index) =>
    Array.isArray(checked.seed) ? (checked.seed[index] as number) : (checked.seed ?? node.crypto.randomInt(2 ** 47)),
  );
  return {
    prompts: rows,
    rows: seeds.map((seed) => new GenerationRow(session, ends, stopTexts, drawn ? seed : undefined)),
    plan,
    maxNewTokens,
    temperature: checked.temperature,
    topK: checked.topK ?? 0,
    topP: checked.topP,
    seeds,
    signal: checked.signal,
    onProgress: checked.onProgress,
  };
}

/** Decodes until every row is done. Yields each row's piece of each step. */
async function* decode(
  { generations }: Session,
  { prompts, rows, plan, seeds, signal, onProgress: _, ...options }: GenerationPlan,
  reader: Pick<Reader, "step" | "leave">,
): AsyncGenerator<GenerationPiece, void, void> {
  const owner = {};
  signal?.throwIfAborted();
  const numbers = await generations.add(owner, prompts, plan, { ...options, seeds: Float64Array.from(seeds) });
  let going = rows.map((row, index) => ({ row, number: numbers[index] as number }));
  try {
    while (going.length > 0) {
      const asked = Int32Array.from(going, ({ number }) => number);
      const tokens = await reader.step(() => generations.step(asked, signal));
      const pieces = going.map(({ row }, index) => {
        const { token, logProbability } = tokens[index] as NativeToken;
        return row.push(token, logProbability);
      });
      const ended = going.filter((_, index) => pieces[index]?.done);
      going = going.filter((_, index) => !pieces[index]?.done);
      // The last piece needs the model no more, and whoever has it may not come back.
      if (ended.length > 0) void generations.remove(Int32Array.from(ended, ({ number }) => number));
      if (going.length === 0) reader.leave();
      for (const { piece } of pieces) yield piece;
    }
  } finally {
    // Queued behind work that may still run; the caller need not wait for it.
    void generations.remove(numbers);
    generations.release(owner);
  }
}

/** A call that generates is waited for as a whole. */
const wholly: Pick<Reader, "step" | "leave"> = { step: (work) => work(), leave() {} };

async function generate(session: Session, plan: GenerationPlan): Promise<Generation[]> {
  const total = plan.maxNewTokens * plan.prompts.length;
  const progress = plan.onProgress && new Progress(plan.onProgress);
  let count = 0;
  for await (const _ of decode(session, plan, wholly)) {
    progress?.report(++count / total);
    progress?.check();
  }
  if (progress) await finish(progress, plan.signal);
  return plan.rows.map((row) => row.generation);
}

/** Generates from several prompts, of any lengths, in one batch. */
export async function generateBatch(
  session: Session,
  prompts: readonly (string | Tokens)[],
  options: GenerationOptions,
): Promise<Generation[]> {
  return generate(session, prepare(session, { several: prompts }, options));
}

/** Generates from one prompt. */
export async function generateOne(
  session: Session,
  prompt: string | Tokens,
  options: GenerationOptions,
): Promise<Generation> {
  const [generation] = await generate(session, prepare(session, { one: prompt }, options));
  return generation as Generation;
}

/** Generates from one prompt, piece by piece. Leaving the loop ends the work. */
export function streamOne(
  session: Session,
  prompt: string | Tokens,
  options: GenerationOptions,
  reader: Reader,
): AsyncGenerator<GenerationPiece, void, void> {
  return decode(session, prepare(session, { one: prompt }, options), reader);
}
