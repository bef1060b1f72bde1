import { describe } from "../errors/validation.js";
import { encodeAhead } from "../tokenizer/encode-ahead.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { toContextRow } from "../tokenizer/tokens.js";
import { ApiError } from "./api-error.js";
import type { Limits } from "./options.js";
import type { ServedModel } from "./served-model.js";

/** A prompt as text and as tokens. */
export interface Prompt {
  text: string;
  row: Int32Array;
}

const param = "prompt";
const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

/** Returns the prompts of a request: a text or a list of token ids, or a list of these. Throws 400. */
export function listPrompts(given: unknown, count: { n: number; most: number }): (string | number[])[] {
  const isOne = typeof given === "string" || (isList(given) && typeof given[0] === "number");
  const list = isOne ? [given] : given;
  if (!isList(list) || list.length === 0) {
    throw new ApiError(400, `expected text, token ids, or a list of these for prompt but received ${describe(given)}`, {
      param,
    });
  }
  requireChoices(list.length * count.n, count.most);
  for (const [index, one] of list.entries()) {
    if (typeof one === "string" ? one !== "" : isList(one) && one.length > 0) continue;
    throw new ApiError(
      400,
      `expected text or token ids, not empty, for prompt ${index} but received ${describe(one)}`,
      {
        param,
      },
    );
  }
  return list as (string | number[])[];
}

function requireChoices(choices: number, most: number): void {
  if (choices <= most) return;
  throw new ApiError(400, `expected at most ${most} choices, prompts times n, but received ${choices}`, { param: "n" });
}

/** Encodes the prompts of a request. Throws 400 and what encoding throws. */
export async function encodePrompts(
  prompts: readonly (string | number[])[],
  model: ServedModel,
  { limits, maxTokens, signal }: { limits: Limits; maxTokens: number; signal: AbortSignal },
): Promise<Prompt[]> {
  const encoded: Prompt[] = [];
  for (const [index, prompt] of prompts.entries()) {
    const name = prompts.length === 1 ? "prompt" : `prompt ${index}`;
    const { value } = await encodeAhead<string | number[]>(prompt, model, name, { signal, fits: true });
    const row = toContextRow(value, model, name);
    requireRoom(row.length, name, model, limits, maxTokens);
    encoded.push({ row, text: typeof prompt === "string" ? prompt : (model.tokenizer as Tokenizer).decode(row) });
  }
  return encoded;
}

function requireRoom(tokens: number, name: string, model: ServedModel, limits: Limits, maxTokens: number): void {
  const { contextLength } = model.config;
  if (tokens > limits.promptTokens) {
    throw new ApiError(400, `expected at most ${limits.promptTokens} tokens for ${name} but received ${tokens}`, {
      param,
    });
  }
  if (tokens + maxTokens <= contextLength) return;
  throw new ApiError(
    400,
    `expected at most ${contextLength} tokens, the model's context, for ${name} and max_tokens together but received ` +
      `${tokens} and ${maxTokens}`,
    { param, code: "context_length_exceeded" },
  );
}
